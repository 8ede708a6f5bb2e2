"""Finished runs, the rows they are scored on, and whether two runs can be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls import config, files
from maskcls.data.rows import manifest as tables
from maskcls.errors import ResultError
from maskcls.labels import Ints, LabelSpace
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import Scores, score
from maskcls.rundir import RunDir
from maskcls.schema import Config
from method_table.rows import Row
from method_table.training import differences, plain


@dataclass(frozen=True)
class Done:
    """A finished run, read from its folder.

    identity   the data it was trained and scored on; equal for runs that can be compared.
    settings   every setting by its dotted key.
    seconds    of all epochs of all networks; divided by the number of folds trained at the same time.
    """

    run: RunDir
    identity: dict[str, Any]
    settings: dict[str, Any]
    space: LabelSpace
    pooled: Predictions
    seconds: float
    versions: dict[str, str]
    folds: tuple[int, ...]


@dataclass(frozen=True)
class ScoredRows:
    """The rows on which all runs are scored, in one order."""

    ids: NDArray[np.str_]
    people: NDArray[Any]
    truth: dict[str, Ints]
    space: LabelSpace
    photos_in_all: int
    people_in_all: int

    def labels(self, done: Done) -> Ints:
        """Return a run's joint labels (N,) in the order of these rows."""
        return done.pooled.align(self.ids).labels()

    def score(self, done: Done) -> Scores:
        """Score a run."""
        return score(self.labels(done), self.truth, self.space)


def read_done(run: RunDir) -> Done:
    """Read a finished run; raises MaskclsError when a file is missing or damaged."""
    env, (cfg, _) = files.read_json(run.env), config.load(run.config)
    parts = {"folds": run.folds, "rows or labels": run.manifest, "label space": run.labels}
    identity: dict[str, Any] = {name: files.file_sha256(path)[:12] for name, path in parts.items()}
    identity |= {"folds trained": env["folds"]}
    identity["starting weights"] = sorted({digest[:12] for digest in env["weights"].values()})
    versions = {"maskcls": env["maskcls"], **{name: env["packages"][name] for name in ("torch", "timm")}}
    versions |= {"device": str(env["device"])}
    pooled, seconds = Predictions.load(run.oof), seconds_of(run, cfg, env)
    return Done(run, identity, plain(cfg), cfg.space, pooled, seconds, versions, tuple(env["folds"]))


def seconds_of(run: RunDir, cfg: Config, env: Mapping[str, Any]) -> float:
    """Return the training and validation seconds of a run, from its logs."""
    total = 0.0
    for member in config.members(cfg):
        jobs = min(env["plans"].get(member, {}).get("fold_jobs", 1), len(env["folds"]))
        for fold in env["folds"]:
            log = run.fold(fold, member).log
            try:
                total += sum(json.loads(line)["seconds"] for line in log.read_text().splitlines()) / jobs
            except (OSError, ValueError, KeyError) as error:
                raise ResultError("a log cannot be read", where=str(log), got=str(error)) from None
    return total


def read_scored_rows(done: Done) -> ScoredRows:
    """Read the rows on which a run was scored; raises ResultError when no row has a label for every task."""
    frame = tables.from_csv(done.run.manifest, done.space)
    here = frame.set_index("id", drop=False).loc[done.pooled.ids.tolist()]
    truth = tables.labels(here, done.space)
    if (done.space.encode(truth) < 0).all():
        raise ResultError("no row has a label for every task, so there is no joint score", where=str(done.run.manifest))
    people = here["person"].to_numpy()
    return ScoredRows(done.pooled.ids, people, truth, done.space, len(frame), frame["person"].nunique())


def why_not(base: Done, other: Done, row: Row) -> list[str]:
    """Return why a run cannot be compared with the base: all differences except the row's own overrides."""
    given = dict(config.parse_override(text) for text in row.overrides)
    own = [*given, *config.preset_keys(given.items())]

    def fixed(done: Done) -> dict[str, Any]:
        mine = {key for key in done.settings if any(f"{key}.".startswith(f"{o}.") for o in own)}
        kept = {key: value for key, value in done.settings.items() if key not in mine and key != "separate"}
        return done.identity | kept

    then, now = fixed(other), fixed(base)
    if any("weights" in text or "pretrained" in text for text in row.overrides):
        for side in (then, now):
            side.pop("starting weights")
    return differences(then, now)
