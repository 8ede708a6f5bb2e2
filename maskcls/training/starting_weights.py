"""Starting weights must not have learnt from the people that judge what is made of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from maskcls import config
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError
from maskcls.rundir import RunDir
from maskcls.training.experiment import Experiment

JUDGED = re.compile(r"(?:members/[^/]+/)?fold(\d+)/(?:best|last)/[^/]+")  # a network that left a fold out


def check_starting_weights(experiment: Experiment, wanted: Sequence[int]) -> None:
    """Raise DataError where a network would begin from one that a run trained on people who judge the new one.

    A fold may go on from the network of the same fold, where the people are dealt alike. Files that lie in no run
    folder tell nothing, and are taken.
    """
    people = experiment.manifest["person"]
    for member in experiment.kinds:
        if member.cfg.model.weights is None:
            continue
        known = people_behind(Path(member.cfg.model.weights))
        judging = {k: known.intersection(people[experiment.fold == k]) for k in wanted}
        if met := [f"{len(found)} people of fold {k}" for k, found in judging.items() if found]:
            raise DataError(
                "the starting weights have learnt from people that would judge the network",
                where=member.cfg.model.weights,
                offenders=met,
                expected="weights made from photos of other people",
                fix="begin from what that run began with, or go on within one run with train.continue_epochs",
            )


def people_behind(weights: Path) -> frozenset[str]:
    """Return the people a run's network learnt from, it and what it began with; nobody for a file of no run."""
    weights = weights.resolve()
    run = next((RunDir(folder) for folder in weights.parents if RunDir(folder).env.exists()), None)
    if run is None:
        return frozenset()
    cfg = config.load(run.config)[0]
    manifest, folds = tables.from_csv(run.manifest, cfg.space), folding.from_csv(run.folds)
    left_out = JUDGED.fullmatch(weights.relative_to(run.path).as_posix())
    learnt = manifest["person"]
    if left_out:
        learnt = learnt[folds["fold"] != int(left_out[1])]
    began = {member.model.weights for member in config.members(cfg).values()}
    return frozenset(learnt).union(*(people_behind(Path(file)) for file in began if file)) - {""}
