"""Scores within slices of the true classes, such as the photos of women above 60 with a mask.

N rows, C classes. A slice is the rows whose true labels of some tasks are the ones named. Rows whose label of one of
those tasks is unknown (-1) are in no slice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.files import none_for_nan
from maskcls.labels import UNKNOWN, Bools, Ints, LabelSpace
from maskcls.results.scores.intervals import Interval, share_interval
from maskcls.results.scores.metrics import confusion


@dataclass(frozen=True)
class Slice:
    """The rows of some true classes, one of each task named.

    classes   {task: class}, the tasks that are held.
    rows      rows in the slice.
    people    how many people they show; None when that is not known.
    accuracy  share of rows right in every task, among those where every task is known; NaN without any.
    interval  of the accuracy, over people, or rows where they are not known; None without rows.
    tasks     {task: share right, among the slice's rows where it is known}; NaN without any. That of a task that is
              held is its recall.
    """

    classes: Mapping[str, str]
    rows: int
    people: int | None
    accuracy: float
    interval: Interval | None
    tasks: Mapping[str, float]

    @property
    def name(self) -> str:
        """The classes in the tasks' order, such as `wear/male`."""
        return "/".join(self.classes.values())

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a NaN becomes None."""
        tasks = {name: none_for_nan(share) for name, share in self.tasks.items()}
        return {**asdict(self), "name": self.name, "accuracy": none_for_nan(self.accuracy), "tasks": tasks}


@dataclass(frozen=True)
class Recall:
    """How often one class was found within a slice of the other tasks, and what it was taken for.

    label     the class's name.
    classes   {task: class} of the other tasks.
    recall    share of the rows given the class; NaN without rows.
    mistaken  {class: rows}, the most frequent first; classes that none was taken for are left out.
    """

    label: str
    classes: Mapping[str, str]
    rows: int
    people: int | None
    recall: float
    mistaken: Mapping[str, int]

    @property
    def name(self) -> str:
        """The other tasks' classes, such as `wear/male`."""
        return "/".join(self.classes.values())

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a NaN becomes None."""
        return {**asdict(self), "name": self.name, "recall": none_for_nan(self.recall)}


@dataclass(frozen=True)
class Mistake:
    """Rows of one joint class that were given another; share: of all rows of the true class."""

    true: str
    predicted: str
    rows: int
    share: float


def slices(
    pred_N: Ints,
    truth: Mapping[str, Ints],
    space: LabelSpace,
    names: Sequence[str],
    people_N: NDArray[Any] | None = None,
) -> tuple[Slice, ...]:
    """Score every combination of the named tasks' true classes, in their order; empty ones too.

    pred_N    (N,) joint labels 0..J-1.
    truth     {task: (N,) int}, every task; -1 = unknown.
    people_N  (N,) the person on each row; None when not known.
    """
    right = _right(pred_N, truth, space)
    return tuple(
        Slice(
            classes,
            rows=int(here_N.sum()),
            people=_people(here_N, people_N),
            accuracy=_share(*right[""], here_N),
            interval=_interval(*right[""], here_N, people_N),
            tasks={name: _share(*right[name], here_N) for name in space.names},
        )
        for classes, here_N in _cells(truth, space, names)
    )


def worst(found: Sequence[Slice], count: int = 1) -> tuple[Slice, ...]:
    """Return the slices of the lowest accuracy, the lowest first; of equal ones that with more rows."""
    scored = [one for one in found if not math.isnan(one.accuracy)]
    return tuple(sorted(scored, key=lambda one: (one.accuracy, -one.rows))[:count])


def class_recall(
    pred_N: Ints,
    truth: Mapping[str, Ints],
    space: LabelSpace,
    task: str,
    label: int,
    people_N: NDArray[Any] | None = None,
) -> tuple[Recall, ...]:
    """Return how often one class of one task is found, within every combination of the other tasks' true classes.

    label  the class's index, such as the oldest band's. The other arguments are those of `slices`.
    """
    others, classes = [name for name in space.names if name != task], space.task(task).classes
    given_N, of_class_N = space.decode(pred_N)[task], truth[task] == label
    found = []
    for names, here_N in _cells(truth, space, others):
        rows_N = here_N & of_class_N
        counts_C = np.bincount(given_N[rows_N], minlength=len(classes))
        order = [c for c in np.argsort(-counts_C, kind="stable").tolist() if c != label and counts_C[c]]
        mistaken = {classes[c]: int(counts_C[c]) for c in order}
        recall = _share(given_N == label, of_class_N, here_N)
        found.append(Recall(classes[label], names, int(rows_N.sum()), _people(rows_N, people_N), recall, mistaken))
    return tuple(found)


def mistakes(pred_N: Ints, truth: Mapping[str, Ints], space: LabelSpace) -> tuple[Mistake, ...]:
    """Return which joint classes were taken for which, the most frequent first, then in the order of classes."""
    return mistakes_of(confusion(space.encode(truth), pred_N, space.size), space.joint_names)


def mistakes_of(counts_CC: Ints, names: Sequence[str]) -> tuple[Mistake, ...]:
    """Return the same for counts (C, C) of any classes, true by predicted, and their names."""
    support_C = counts_CC.sum(axis=1)
    wrong_CC = counts_CC * (1 - np.eye(len(counts_CC), dtype=np.int64))
    cells = np.argsort(-wrong_CC.ravel(), kind="stable")[: np.count_nonzero(wrong_CC)]
    pairs = zip(*(part.tolist() for part in np.unravel_index(cells, wrong_CC.shape)), strict=True)
    return tuple(
        Mistake(names[a], names[b], int(wrong_CC[a, b]), float(wrong_CC[a, b] / support_C[a])) for a, b in pairs
    )


def _right(pred_N: Ints, truth: Mapping[str, Ints], space: LabelSpace) -> dict[str, tuple[Bools, Bools]]:
    """Return, by task and under "" for all of them, which rows are right and which have a known label."""
    part_of, joint_N = space.decode(pred_N), space.encode(truth)
    right = {name: (part_of[name] == truth[name], truth[name] != UNKNOWN) for name in space.names}
    return {**right, "": (pred_N == joint_N, joint_N != UNKNOWN)}


def _cells(truth: Mapping[str, Ints], space: LabelSpace, names: Sequence[str]) -> list[tuple[dict[str, str], Bools]]:
    """Return every combination of the named tasks' classes, and which rows are of it."""
    held = [task for task in space.tasks if task.name in names]
    cells = []
    for labels in itertools.product(*(range(len(task.classes)) for task in held)):
        classes = {task.name: task.classes[label] for task, label in zip(held, labels, strict=True)}
        parts = [truth[task.name] == label for task, label in zip(held, labels, strict=True)]
        cells.append((classes, np.logical_and.reduce(parts) if parts else np.ones(len(truth[space.names[0]]), bool)))
    return cells


def _share(right_N: Bools, scored_N: Bools, here_N: Bools) -> float:
    rows = int((scored_N & here_N).sum())
    return int((right_N & scored_N & here_N).sum()) / rows if rows else math.nan


def _interval(right_N: Bools, scored_N: Bools, here_N: Bools, people_N: NDArray[Any] | None) -> Interval | None:
    rows = np.flatnonzero(scored_N & here_N)
    return share_interval(right_N[rows], rows if people_N is None else people_N[rows])


def _people(here_N: Bools, people_N: NDArray[Any] | None) -> int | None:
    return None if people_N is None else len(np.unique(people_N[here_N]))
