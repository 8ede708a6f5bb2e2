"""heads.json: the run whose networks a run of retrained heads was made from. Part of the identity of that run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import files, typedjson
from maskcls.engine.checkpoint import read_meta
from maskcls.errors import WeightsError
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.schema.synth import SynthKind
from maskcls.training.experiment import Experiment, Member
from maskcls.typedjson import JsonFile


class HeadsOrigin(JsonFile):
    """The content of heads.json.

    kind         what the heads were fitted on besides the photos.
    run          folder of the run that the trunks are from, absolute.
    environment  sha256 of its env.json, which names its configuration, rows and folds.
    weights      sha256 of the best weights of each of its networks, by path in its folder.
    """

    kind: SynthKind
    run: str
    environment: str
    weights: dict[str, str]


def origin_of(experiment: Experiment, networks: Sequence[tuple[Member, int]], cfg: Config) -> HeadsOrigin:
    """Return the origin of heads on the trunks of a finished run. cfg: of the new run."""
    run = experiment.run
    best = [experiment.fold_dir(member, k).best for member, k in networks]
    return HeadsOrigin(
        kind=cfg.synth.kind,
        run=str(run.path.resolve()),
        environment=files.file_sha256(run.env),
        weights={run.place(folder.tensors): read_meta(folder).sha256 for folder in best},
    )


def read_origin_run(run: RunDir) -> RunDir:
    """Return the run that the trunks of a run of retrained heads are from.

    Raises WeightsError where it is no longer there, or its networks are other ones.
    """
    origin = typedjson.read(run.heads_origin, HeadsOrigin)
    source = RunDir(Path(origin.run))
    paths = {place: source.path / place for place in origin.weights}
    missing = [str(path) for path in (source.env, *paths.values()) if not path.is_file()]
    if missing:
        raise WeightsError(
            "the run that the heads are fitted for is not there",
            where=str(run.heads_origin),
            offenders=missing,
            fix="restore it, or make the run of heads again from another run",
        )
    other = [place for place, path in paths.items() if files.file_sha256(path) != origin.weights[place]]
    if other or files.file_sha256(source.env) != origin.environment:
        raise WeightsError(
            "the run that the heads are fitted for is another one than at the start",
            where=origin.run,
            offenders=other or [source.env.name],
            fix="restore it, or make the run of heads again",
        )
    return source
