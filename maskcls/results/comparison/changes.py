"""What changed between two sets of predictions of the same rows: fixed, broken and moved rows, and the agreement.

N rows, joined by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.labels import UNKNOWN
from maskcls.results.comparison.rows import JOINT, CommonRows
from maskcls.results.csv_with_origin import csv_bytes
from maskcls.results.ensembles.diversity import kappa


@dataclass(frozen=True)
class Changed:
    """The numbers of the rows on which a and b differ: fixed by b, broken by b, still wrong, label unknown."""

    fixed: Sequence[int]
    broken: Sequence[int]
    still_wrong: Sequence[int]
    unknown: Sequence[int]

    @property
    def count(self) -> int:
        """All of them."""
        return sum(map(len, self.kinds.values()))

    @property
    def kinds(self) -> dict[str, Sequence[int]]:
        """The four by name."""
        return {"fixed": self.fixed, "broken": self.broken, "still wrong": self.still_wrong, "unknown": self.unknown}


def changes(rows: CommonRows) -> Changed:
    """Sort the rows on which a and b differ into fixed, broken, still wrong and label unknown."""
    truth_N, differs_N = rows.joint, rows.a != rows.b
    known_N = truth_N != UNKNOWN
    kinds = (
        known_N & (rows.b == truth_N),
        known_N & (rows.a == truth_N),
        known_N & (rows.a != truth_N) & (rows.b != truth_N),
        ~known_N,
    )
    return Changed(*(np.flatnonzero(differs_N & kind_N).tolist() for kind_N in kinds))


def moves(rows: CommonRows) -> list[tuple[str, str, int]]:
    """Count the changes of joint labels from a to b: from, to, rows; the most frequent first."""
    differs_N, names = rows.a != rows.b, rows.space.joint_names
    counts = Counter(zip(rows.a[differs_N].tolist(), rows.b[differs_N].tolist(), strict=True))
    return [(names[i], names[j], count) for (i, j), count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def task_agreement(rows: CommonRows) -> dict[str, tuple[float, float]]:
    """Return the share of equal labels and kappa, of the joint classes and of each task."""
    parts = {JOINT: (rows.a, rows.b, rows.space.size)}
    of_a, of_b = rows.space.decode(rows.a), rows.space.decode(rows.b)
    parts |= {task.name: (of_a[task.name], of_b[task.name], len(task.classes)) for task in rows.space.tasks}
    return {
        name: (float((a_N == b_N).mean()), float(kappa([a_N, b_N], classes)[0, 1]))
        for name, (a_N, b_N, classes) in parts.items()
    }


def changed_csv(rows: CommonRows, changed: Changed) -> bytes:
    """Return a CSV of every row on which the two differ: id, truth, a, b, in a's order; `?` marks an unknown task."""
    names = rows.space.joint_names
    numbers = sorted(row for kind in changed.kinds.values() for row in kind)
    return csv_bytes(
        {
            "id": [rows.ids[row] for row in numbers],
            "truth": [_true_name(rows, row) for row in numbers],
            "a": [names[rows.a[row]] for row in numbers],
            "b": [names[rows.b[row]] for row in numbers],
        }
    )


def _true_name(rows: CommonRows, row: int) -> str:
    if rows.truth is None:
        return ""
    found = [(task, int(rows.truth[task.name][row])) for task in rows.space.tasks]
    return "/".join("?" if label == UNKNOWN else task.classes[label] for task, label in found)
