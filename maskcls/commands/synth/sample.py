"""maskcls synth sample: make samples with the generators of all folds, filter them, and write them as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import maskcls
from maskcls.data.photos.identity.photo_digests import PhotoDigests, digests_of_table
from maskcls.engine.device import Accelerator, start
from maskcls.errors import DataError
from maskcls.machine import reading_threads, refuse_several
from maskcls.results.added.set_names import set_name
from maskcls.results.synth.sample_table import SampleMaker
from maskcls.results.synth.write_samples import write_samples
from maskcls.rundir import REFIT, RunDir, SynthDir
from maskcls.runs.generators.sampling import check_sampling, needs_classifier, sampling_settings
from maskcls.runs.locks import run_lock
from maskcls.schema import Config
from maskcls.show.synth.made_samples import MadeSamples, SampleCount
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.example_counts import example_counts
from maskcls.synth.loop.open_generators import experiment_of, with_small_photos
from maskcls.synth.loop.synth_rows import synth_rows
from maskcls.synth.rows.fold_classifier import FoldClassifier, check_classifier, open_fold_classifier
from maskcls.synth.rows.made_set import ClassCount, MadeSet, filter_of, make_set
from maskcls.synth.rows.sample_rows import SampleRows, add_copies, add_images, as_added_sets, taken_in_turn
from maskcls.synth.rows.sample_sources import check_generators, copying_source, trained_source
from maskcls.training.added.added_source import folds_sha256
from maskcls.training.experiment import Experiment, view_spec
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.stored_experiment import open_experiment, open_with_photos


@dataclass(frozen=True)
class _Classifier:
    """The run whose networks compare samples, with its trained folds and the hashes of its identity."""

    experiment: Experiment
    folds: tuple[int, ...]
    hashes: dict[str, str]


def sample_synth(
    folder: SynthDir,
    output: Path,
    *,
    classifier: RunDir | None,
    overrides: Sequence[str],
    force: bool,
    report: Reporter,
    data: Path | None = None,
) -> MadeSamples:
    """Make the samples of every fold's generator and of all rows, and write them with their images.

    folder      of generators; or a run, for copies of its photos (synth.kind=oversample).
    classifier  a run with the same folds: fold k's network finds copies among the samples of fold k, and disputes their
                labels. None: the run itself where the folder is one, else no filter needs it.
    data        where the data set is now; None: where it was.

    Raises what `check_sampling` and `check_classifier` raise; ResultError for generators that are not finished,
    DataError where no sample is left.
    """
    cfg = sampling_settings(folder, overrides)
    check_sampling(folder, output, classifier, cfg, force=force, data=data)
    accelerator = start(cfg.device)
    refuse_several("maskcls synth")
    with run_lock.reading(folder.experiment), report.busy("reading the folder"):
        experiment, numbers, kind = _opened(folder, cfg, data)
    compared = _opened_classifier(folder, classifier, cfg, experiment, data)
    with cured_by_restoring():
        experiment = with_small_photos(experiment, accelerator, report)
    rows, makers, counts = SampleRows(), dict[int, tuple[SampleMaker, ...]](), list[SampleCount]()
    for k in numbers:
        network = (
            None if compared is None else open_fold_classifier(compared.experiment, compared.folds, k, accelerator)
        )
        made, sha256 = _made(folder, experiment, cfg, k, network, accelerator, report)
        if kind == "oversample":
            add_copies(rows, k, made, _photos_of(experiment))
        else:
            add_images(rows, k, made, view_spec(cfg), output)
        makers[k] = (SampleMaker(k, sha256),)
        counts += [_count(k, one, cfg) for one in made.counts]
    _refuse_none(counts, folder)
    if REFIT not in rows.sets:
        whole = synth_rows(experiment, REFIT)
        quotas = example_counts(whole.label_N, whole.classes, cfg.space, cfg.synth.per_class)
        rows.sets[REFIT] = taken_in_turn([rows.sets[k] for k in numbers], quotas)
        makers[REFIT] = tuple(makers[k][0] for k in numbers)
    sets, parents, contents = as_added_sets(rows, cfg.space, cfg.synth.weight)
    sha256 = write_samples(
        output,
        sets,
        parents,
        cfg.space,
        kind=kind,
        folds_sha256=folds_sha256(experiment.manifest, experiment.folds),
        k=cfg.folds.k,
        makers=makers,
        counts=[one.to_json() for one in counts],
        lineage=_lineage(folder, compared, cfg),
        contents=contents,
        images=rows.images,
        force=force,
    )
    return MadeSamples(output, sha256, kind, {set_name(k): len(found) for k, found in sets.items()}, tuple(counts))


def _opened(folder: SynthDir, cfg: Config, data: Path | None) -> tuple[Experiment, list[int], str]:
    """Return the experiment of generators or of a run, with these settings, its sets, and what makes them."""
    if not folder.facts.exists():
        return experiment_of(folder.path, cfg, folder, data), [*range(cfg.folds.k), REFIT], cfg.synth.kind
    experiment, _ = open_with_photos(folder.experiment, data)
    facts = check_generators(folder, experiment)
    numbers = [*range(facts.k), *([REFIT] if REFIT in facts.folds else [])]
    return replace(experiment, cfg=cfg), numbers, facts.kind


def _opened_classifier(
    folder: SynthDir, classifier: RunDir | None, cfg: Config, experiment: Experiment, data: Path | None
) -> _Classifier | None:
    if classifier is None and folder.facts.exists():
        return None
    if not needs_classifier(cfg):
        return None
    found, env = open_experiment(classifier or folder.experiment, data)
    check_classifier(found, experiment)
    return _Classifier(found, env.folds, env.hashes)


def _made(
    folder: SynthDir,
    experiment: Experiment,
    cfg: Config,
    k: int,
    network: FoldClassifier | None,
    accelerator: Accelerator,
    report: Reporter,
) -> tuple[MadeSet, str]:
    """Return the samples of one set, and the sha256 of what made them."""
    if folder.facts.exists():
        source = trained_source(folder, experiment, cfg, k)
    else:
        assert network is not None, "copies need the features of a network"
        source = copying_source(experiment, cfg, k, network, report)
    quotas = example_counts(source.rows.label_N, source.rows.classes, cfg.space, cfg.synth.per_class)
    chosen = filter_of(source, cfg.synth, network, report)
    return make_set(source, quotas, chosen, accelerator.device, report), source.sha256


def _refuse_none(counts: Sequence[SampleCount], folder: SynthDir) -> None:
    """Raise DataError, with the numbers of the filters, where no sample is left."""
    if any(one.kept for one in counts):
        return
    made, copies, disputed = (sum(getattr(one, name) for one in counts) for name in ("made", "copies", "disputed"))
    raise DataError(
        "no sample is left",
        where=str(folder.path),
        got=f"{made:,} made, {copies:,} of them copies of photos, {disputed:,} of another class for the classifier",
        fix="train the generators for more steps; or leave fewer out: synth.copy_quantile=0, synth.agree=false",
    )


def _photos_of(experiment: Experiment) -> dict[str, tuple[str, bytes]]:
    """Return path and digest of every photo by id."""
    frame, known = experiment.manifest, experiment.photos
    if known is None:
        threads = reading_threads(experiment.cfg.device.workers)
        known = digests_of_table(experiment.photo_root, frame, threads=threads)
    of_rows: PhotoDigests = known.of(frame["id"].tolist())
    cells = zip(frame["id"].tolist(), frame["path"].tolist(), of_rows.digest_ND, strict=True)
    return {name: (path, bytes(digest)) for name, path, digest in cells}


def _count(k: int, one: ClassCount, cfg: Config) -> SampleCount:
    label = cfg.space.joint_names[one.label]
    return SampleCount(set_name(k), label, one.wanted, one.made, one.copies, one.disputed, one.kept)


def _lineage(folder: SynthDir, compared: _Classifier | None, cfg: Config) -> dict[str, Any]:
    """Return what the samples were made from, without anything that differs when the command is given again."""
    synth = cfg.synth
    settings = {"per_class": synth.per_class, "copy_quantile": synth.copy_quantile, "agree": synth.agree}
    return {
        "maskcls": maskcls.__version__,
        "generators": folder.path.resolve().name,
        "classifier": None if compared is None else compared.experiment.run.path.resolve().name,
        "classifier_hashes": {} if compared is None else compared.hashes,
        "settings": settings | {"weight": synth.weight, "size": list(synth.size)},
        "crop": {"shares": list(cfg.transforms.crop), "centre": list(cfg.transforms.crop_centre)},
    }
