"""Hits, truths and predictions by person and class: all that a macro-F1 and its uncertainty need.

N rows, C classes, P people. Rows without a label (-1) are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Ints
from maskcls.results.scores.metrics import Doubles, known_rows


@dataclass(frozen=True, eq=False)
class PersonCounts:
    """Rows by person and class, each (P, C) float64, because the sums that follow are matrix products.

    hits    rows of the class that were given it.
    truths  rows of the class.
    marks   truths, plus rows that were given the class.
    """

    hits_PC: Doubles
    truths_PC: Doubles
    marks_PC: Doubles


def count_people(true_N: Ints, pred_N: Ints, person_N: Sequence[str] | NDArray[Any], classes: int) -> PersonCounts:
    """Count the rows with a known truth; people without such a row are left out, the others sorted by name.

    true_N, pred_N  as for `metrics.confusion`.
    person_N        (N,) the person on each row; text or whole numbers.

    Raises ValueError for unequal lengths, labels outside the classes, or no row with a known truth.
    """
    if len(person_N) != len(true_N):
        raise ValueError(f"{len(person_N)} people for {len(true_N)} rows")
    known_N = np.asarray(true_N) != UNKNOWN
    who_N = np.unique(np.asarray(person_N)[known_N], return_inverse=True)[1]  # sorted: whatever the rows' order
    true_N, pred_N = known_rows(true_N, pred_N, classes)
    if not len(true_N):
        raise ValueError("no row has a known truth")
    hits_PC, marks_PC = person_counts(true_N, pred_N, who_N, classes)
    return PersonCounts(hits_PC, person_counts(true_N, true_N, who_N, classes)[0], marks_PC)


def person_counts(true_N: Ints, pred_N: Ints, who_N: Ints, classes: int) -> tuple[Doubles, Doubles]:
    """Count, by person and class, hits (P, C) and truths plus predictions (P, C), of rows with known truth.

    who_N  0..P-1, every number in use.
    """
    people = int(who_N.max()) + 1

    def count(rows: NDArray[np.bool_] | slice, label_N: Ints) -> Doubles:
        cells = np.bincount(who_N[rows] * classes + label_N[rows], minlength=people * classes)
        return cells.reshape(people, classes).astype(np.float64)

    everything = slice(None)
    return count(true_N == pred_N, true_N), count(everything, true_N) + count(everything, pred_N)
