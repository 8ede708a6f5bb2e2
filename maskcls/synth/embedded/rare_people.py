"""The rare people of each fold, from whom examples are made, and the refusal where there are too few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.errors import DataError
from maskcls.schema.group_noun import group_noun
from maskcls.synth.loop.synth_rows import generator_rows, of_classes, rarest_class
from maskcls.training.experiment import Experiment


@dataclass(frozen=True)
class RarePeople:
    """The classes that examples of a fold are made of, per task, and how many training people have them."""

    classes: Mapping[str, tuple[str, ...]]
    people: int

    def __str__(self) -> str:
        return ", ".join(f"{name} {' or '.join(some)}" for name, some in self.classes.items()) or "no class"


def rare_people(experiment: Experiment, k: int) -> RarePeople:
    """Return the rare people among the training rows of fold k, or REFIT; see synth.classes."""
    rows = generator_rows(experiment, k)
    labels = {name: label_N[rows] for name, label_N in experiment.labels.items()}
    person_N, space = experiment.people[rows], experiment.cfg.space
    classes = experiment.cfg.synth.classes or rarest_class(labels, person_N, space)
    return RarePeople(classes, len(np.unique(person_N[of_classes(labels, classes, space)])))


def refuse_few_rare_people(experiment: Experiment, folds: Sequence[int]) -> None:
    """Raise DataError that names the folds whose training rows have fewer rare people than synth.least_groups."""
    found, least = {k: rare_people(experiment, k) for k in folds}, experiment.cfg.synth.least_groups
    many = group_noun(experiment.cfg)[1]
    few = [f"fold {k}: {rare.people} {many} of {rare}" for k, rare in found.items() if rare.people < least]
    if few:
        raise DataError(
            f"too few {many} of the rare class to make examples from",
            where=str(experiment.run.path),
            expected=f"{least} or more in a fold's training rows (synth.least_groups; generators did harm below 20 to "
            "50 images of a class, arXiv:2603.16134)",
            offenders=few,
            fix="choose other classes with synth.classes, or make them all the same with --force",
        )
