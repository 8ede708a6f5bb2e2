"""Reject starting weights that were trained on people of the validation folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import config
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError
from maskcls.groupnouns import photos_of_other
from maskcls.rundir import RunDir
from maskcls.schema.group_noun import group_noun
from maskcls.training.experiment import Experiment


def check_starting_weights(experiment: Experiment, wanted: Sequence[int]) -> None:
    """Raise DataError when starting weights were trained on people of a wanted fold.

    A fold may start from the network of the same fold, if both runs have the same folds. Files outside a run folder say
    nothing about people, and are accepted.
    """
    people, noun = experiment.manifest["person"], group_noun(experiment.cfg)
    many = noun[1]
    for member in experiment.kinds:
        if member.cfg.model.weights is None:
            continue
        known = people_behind(Path(member.cfg.model.weights))
        if experiment.sealed is not None and (seen := known.intersection(experiment.sealed["person"])):
            raise DataError(
                f"the starting weights were trained on sealed {many}",
                where=member.cfg.model.weights,
                offenders=[f"{len(seen)} of {experiment.sealed['person'].nunique()} sealed {many}"],
                expected=f"weights of a run with the same folds.sealed and folds.sealed_seed, or of other {many}",
                fix="start from what that run started from",
            )
        shared = {k: known.intersection(people[experiment.fold == k]) for k in wanted}
        if met := [f"{len(found)} {many} of fold {k}" for k, found in shared.items() if found]:
            raise DataError(
                f"the starting weights were trained on {many} of the validation folds",
                where=member.cfg.model.weights,
                offenders=met,
                expected=f"weights made from {photos_of_other(noun)}",
                fix="start from what that run started from, or continue in one run with train.continue_epochs",
            )


def people_behind(weights: Path) -> frozenset[str]:
    """Return the people a run's network was trained on, including its own starting weights; none outside a run."""
    weights = weights.resolve()
    run = next((RunDir(folder) for folder in weights.parents if RunDir(folder).env.exists()), None)
    if run is None:
        return frozenset()
    cfg = config.of_run(run.config)
    manifest, folds = tables.from_csv(run.manifest, cfg.space), folding.from_csv(run.folds)
    left_out, trained = run.fold_left_out(weights), manifest["person"]
    if left_out is not None:
        trained = trained[folds["fold"] != left_out]
    started = {member.model.weights for member in config.members(cfg).values()}
    return frozenset(trained).union(*(people_behind(Path(file)) for file in started if file)) - {""}
