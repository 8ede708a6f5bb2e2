"""The rows that two sets of predictions have in common, with the labels and people known for them.

N rows, joined by id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.errors import DataError
from maskcls.labels import UNKNOWN, Ints, LabelSpace
from maskcls.results.rows_by_id import find_rows
from maskcls.rundir import RunDir

JOINT = "joint"


@dataclass(frozen=True)
class KnownLabels:
    """Labels from a table: ids, {task: (N,) class indices, -1 = unknown}, and the people, None when not known."""

    where: str
    ids: Sequence[str]
    labels: Mapping[str, Ints]
    people: Sequence[str] | None = None


@dataclass(frozen=True)
class Side:
    """One of the two: its rows and their joint labels (N,), and for a run what it was trained on, and where it is."""

    name: str
    ids: Sequence[str]
    labels: Ints
    space: LabelSpace
    known: KnownLabels | None = None
    run: RunDir | None = None


@dataclass(frozen=True)
class CommonRows:
    """The rows both sides have, in a's order.

    a, b      joint labels (N,).
    truth     class indices (N,) by task, -1 = unknown; None when no table has labels.
    people    (N,) text, the person on each row; None when no table has people.
    left_out  rows that only a has, and only b.
    """

    ids: Sequence[str]
    a: Ints
    b: Ints
    space: LabelSpace
    truth: Mapping[str, Ints] | None = None
    people: Sequence[str] | None = None
    left_out: tuple[int, int] = (0, 0)

    @property
    def joint(self) -> Ints:
        """The true joint labels (N,), -1 where a task is unknown."""
        return self.space.encode(self.truth) if self.truth else np.full(len(self.ids), UNKNOWN, dtype=np.int64)


def joined(a: Side, b: Side, known: Sequence[KnownLabels]) -> CommonRows:
    """Return the rows that both sides have, with the labels and people of the tables.

    Raises DataError when no row is common, when two tables give one id different labels or people, or none is known.
    """
    row_N = find_rows(b.ids, a.ids, name=b.name)
    rows_a = np.flatnonzero(row_N >= 0)
    rows_b = row_N[rows_a]
    if not len(rows_a):
        raise DataError(
            "the two have no row in common",
            where=f"{a.name} and {b.name}",
            got=f"{a.ids[0]!r} … and {b.ids[0]!r} …" if len(a.ids) and len(b.ids) else "no rows",
            expected="ids of the same images",
            fix="compare runs or submissions of the same data",
        )
    ids = [str(a.ids[i]) for i in rows_a.tolist()]
    truth, people = _gathered(ids, known, a.space) if known else (None, None)
    if truth is not None and all((of_task == UNKNOWN).all() for of_task in truth.values()):
        raise DataError(
            "no answer of a common row is known",
            where=" and ".join(one.where for one in known),
            fix="give the true labels with --answers FILE",
        )
    left_out = len(a.ids) - len(ids), len(b.ids) - len(ids)
    return CommonRows(ids, a.labels[rows_a], b.labels[rows_b], a.space, truth, people, left_out)


def _gathered(
    ids: Sequence[str], known: Sequence[KnownLabels], space: LabelSpace
) -> tuple[dict[str, Ints], Sequence[str] | None]:
    """Return the labels and people of these rows; DataError where two tables contradict each other."""
    labels = {name: np.full(len(ids), UNKNOWN, dtype=np.int64) for name in space.names}
    people = np.full(len(ids), "", dtype=object)
    faults: list[str] = []
    for one in known:
        row_N = find_rows(one.ids, ids, name=one.where)
        for task in space.tasks:
            classes = np.array(["unknown", *task.classes], dtype=object)
            theirs_N = np.where(row_N < 0, UNKNOWN, one.labels[task.name][row_N])
            faults += _contradictions(
                ids, f"{task.name} is", classes[labels[task.name] + 1], classes[theirs_N + 1], "unknown"
            )
            labels[task.name] = np.where(theirs_N == UNKNOWN, labels[task.name], theirs_N)
        if one.people is not None:
            theirs = np.where(row_N < 0, "", np.array(one.people, dtype=object)[row_N])
            faults += _contradictions(ids, "shows", people, theirs, "")
            people = np.where(theirs == "", people, theirs)
    if faults:
        raise DataError(
            "two tables contradict each other about the same rows",
            where=" and ".join(one.where for one in known),
            fix="compare runs or submissions with the same labels",
            offenders=faults,
        )
    if not (people != "").any():
        return labels, None
    return labels, [who or f"\0{name}" for name, who in zip(ids, people.tolist(), strict=True)]  # one of their own


def _contradictions(
    ids: Sequence[str], what: str, before: NDArray[Any], now: NDArray[Any], silent: str
) -> Iterator[str]:
    for row in np.flatnonzero((before != silent) & (now != silent) & (before != now)).tolist():
        yield f"{ids[row]!r} {what} {before[row]} and {now[row]}"
