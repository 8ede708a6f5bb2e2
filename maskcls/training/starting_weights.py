"""Reject starting weights that were trained on people of the validation folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskcls import config
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.engine.normalisation import saved_meta
from maskcls.errors import DataError
from maskcls.groupnouns import photos_of_other
from maskcls.rundir import RunDir
from maskcls.runs.records.pretrained_file import read_pretrained
from maskcls.schema import ModelConfig
from maskcls.schema.group_noun import group_noun
from maskcls.show.terminal.progress import Reporter
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
        looked_at = known | people_seen(Path(member.cfg.model.weights))
        if experiment.sealed is not None and (seen := looked_at.intersection(experiment.sealed["person"])):
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
    """Return the people a run's network was trained on, including its own starting weights; those of the weights that
    a pretraining started from; none for other files outside a run.
    """
    weights = weights.resolve()
    if (about := read_pretrained(weights)) is not None:
        return frozenset(about.labelled_people)
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


def backbone_note(model: ModelConfig) -> str | None:
    """Return a warning where starting weights were trained in another backbone, or with other options; else None."""
    if model.weights is None:
        return None
    meta, about = saved_meta(Path(model.weights)), read_pretrained(Path(model.weights).resolve())
    trained = meta.blueprint.backbone if meta is not None else about.trunk if about is not None else model.trunk
    if trained == model.trunk:
        return None
    return f"warning: {model.weights} was trained in {trained}, and is used in {model.trunk}"


def people_seen(weights: Path) -> frozenset[str]:
    """Return the people whose photos a pretraining has seen without their labels; none for other weights."""
    about = read_pretrained(weights.resolve()) if weights.exists() else None
    return frozenset(about.people) if about is not None else frozenset()


def note_seen_people(experiment: Experiment, wanted: Sequence[int], report: Reporter) -> None:
    """Print a note where starting weights were pretrained on photos of validation people, without their labels."""
    many, people = group_noun(experiment.cfg)[1], experiment.manifest["person"]
    validated = set(people[np.isin(experiment.fold, list(wanted))].tolist())
    for file in dict.fromkeys(member.cfg.model.weights for member in experiment.kinds):
        if file is not None and (seen := people_seen(Path(file)) & validated):
            report.note(
                f"{file}: pretrained without labels on photos of {len(seen):,} of {len(validated):,} validation {many};"
                f" the score holds for {many} whose photos were pretrained on too, as those to predict can be"
            )
