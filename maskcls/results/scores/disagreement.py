"""People whose photos are given different classes of a task that does not vary within a person. N rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Ints, LabelSpace, Task


@dataclass(frozen=True)
class Disagreement:
    """One person and one task.

    true       the class; "" where no photo has a label.
    predicted  {class: photos}, the most frequent first; two classes at least.
    pairs      share of the pairs of photos that are given the same class, in [0, 1).
    """

    person: str
    task: str
    photos: int
    true: str
    predicted: Mapping[str, int]
    pairs: float


def disagreements(
    pred_N: Ints, truth: Mapping[str, Ints], space: LabelSpace, people_N: NDArray[Any], names: Sequence[str]
) -> tuple[Disagreement, ...]:
    """Return every person and task with different predictions: the lowest share of equal pairs first, then more photos.

    pred_N    (N,) joint labels 0..J-1.
    truth     {task: (N,) int}, every task; -1 = unknown.
    people_N  (N,) the person on each row.
    names     the tasks to compare: those that do not vary within a person, see `consistency.consistency`.
    """
    people, who_N = np.unique(people_N, return_inverse=True)
    part_of = space.decode(pred_N)
    found = [
        _disagreement(str(people[who]), space.task(name), rows, part_of[name], truth[name])
        for name in names
        for who, rows in _differing(part_of[name], who_N)
    ]
    return tuple(sorted(found, key=lambda one: (one.pairs, -one.photos, one.person, names.index(one.task))))


def _differing(label_N: Ints, who_N: Ints) -> list[tuple[int, Ints]]:
    """Return the people whose rows have different labels, with those rows."""
    order = np.argsort(who_N, kind="stable")
    who, firsts = np.unique(who_N[order], return_index=True)
    rows_P = np.split(order, firsts[1:])
    return [(person, rows) for person, rows in zip(who.tolist(), rows_P, strict=True) if np.ptp(label_N[rows])]


def _disagreement(person: str, task: Task, rows: Ints, given_N: Ints, true_N: Ints) -> Disagreement:
    counts_C = np.bincount(given_N[rows], minlength=len(task.classes))
    known = true_N[rows][true_N[rows] != UNKNOWN]
    order = [c for c in np.argsort(-counts_C, kind="stable").tolist() if counts_C[c]]
    return Disagreement(
        person,
        task.name,
        photos=len(rows),
        true=task.classes[int(known[0])] if len(known) else "",
        predicted={task.classes[c]: int(counts_C[c]) for c in order},
        pairs=float((counts_C * (counts_C - 1)).sum() / (len(rows) * (len(rows) - 1))),
    )
