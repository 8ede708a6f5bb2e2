"""Paired comparison of two sets of predictions for the same rows: the difference in macro-F1 and its uncertainty.

N rows, C classes, P people, S seeds. The macro-F1 is that of `metrics`: the mean over the classes that occur in truth
or prediction. Everything follows from integer counts, so the order of the rows does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Bools, Ints
from maskcls.results.scores.influence import Influence, difference_influence
from maskcls.results.scores.intervals import LEVEL, difference_interval
from maskcls.results.scores.person_counts import PersonCounts, count_people
from maskcls.results.scores.student import student_cdf


@dataclass(frozen=True)
class Difference:
    """The macro-F1 of b minus that of a, with a confidence interval over people.

    value       b - a on all rows, the mean over the seeds; negative where b is worse.
    low, high   interval of the difference on all people of this kind, see `intervals`.
    above_zero  confidence that b is better, in [0, 1]: Student's t distribution at value / standard error.
    """

    value: float
    low: float
    high: float
    above_zero: float
    level: float

    @property
    def p(self) -> float:
        """The two-sided p-value of no difference."""
        return 2 * min(self.above_zero, 1 - self.above_zero)


def paired_difference(
    truth_N: Ints,
    predicted_a: Ints | Sequence[Ints],
    predicted_b: Ints | Sequence[Ints],
    people_N: Sequence[str] | NDArray[Any],
    classes: int,
    *,
    level: float = LEVEL,
) -> Difference:
    """Compare b with a on the same rows, people with all their photos.

    What makes people easy or hard for both cancels out: the interval is that of the difference, not of two scores. It
    covers the choice of people, not that of seeds; the mean over seeds only makes the latter smaller.

    truth_N       0..C-1, or -1 for a row to leave out.
    predicted_a   (N,) int in 0..C-1, or one such row per seed; seed s of a is compared with seed s of b.
    predicted_b   as many as predicted_a.
    people_N      (N,) the person on each row; text or whole numbers.
    level         of the interval, in (0, 1).

    Raises ValueError for no rows, a level outside (0, 1), unequal lengths or labels outside the classes.

    >>> truth, a, b = np.array([0, 1, 0, 1]), np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1])
    >>> found = paired_difference(truth, a, b, ["ann", "ann", "bob", "bob"], 2)
    >>> round(found.value, 4), found.low < 0, found.high
    (0.2667, True, 1.0)
    """
    return difference_of(paired_influence(truth_N, predicted_a, predicted_b, people_N, classes), level=level)


def paired_influence(
    truth_N: Ints,
    predicted_a: Ints | Sequence[Ints],
    predicted_b: Ints | Sequence[Ints],
    people_N: Sequence[str] | NDArray[Any],
    classes: int,
) -> Influence:
    """Return the difference b - a and how much each person moves it; arguments and errors of `paired_difference`."""
    pairs = _pairs(predicted_a, predicted_b)

    def counted(label_N: Ints) -> PersonCounts:
        return count_people(truth_N, label_N, people_N, classes)

    return difference_influence([(counted(a_N), counted(b_N)) for a_N, b_N in pairs])


def difference_of(found: Influence, *, level: float = LEVEL) -> Difference:
    """Return a difference with its interval."""
    interval = difference_interval(found, level)
    return Difference(found.value, interval.low, interval.high, _above_zero(found), level)


def mcnemar(correct_a: Bools, correct_b: Bools) -> float:
    """Return the p-value of McNemar's exact test: rows that only a or only b has right, against a fair coin.

    Reference: McNemar 1947, Psychometrika 12, the exact two-sided form; rows right or wrong in both do not count.

    Rows must be independent: give one row per person, or read the result as a lower bound, since photos of one person
    are right and wrong together.

    correct_a, correct_b  (N,) bool, whether each row is right.

    Returns the p value, in [0, 1]; 1 when no row differs. Raises ValueError for unequal lengths.

    >>> round(mcnemar(np.array([True, False, False, False]), np.array([True, True, True, True])), 6)  # 2 / 2**3
    0.25
    """
    a_N, b_N = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a_N.shape != b_N.shape or a_N.ndim != 1:
        raise ValueError(f"{a_N.shape} and {b_N.shape} must be equally long lists")
    only_a, only_b = int((a_N & ~b_N).sum()), int((b_N & ~a_N).sum())
    differing, fewer = only_a + only_b, min(only_a, only_b)
    # Logarithms: the binomial coefficients of a few thousand rows have no float.
    factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, differing + 1)))])
    ways = factorial[differing] - factorial[: fewer + 1] - factorial[differing - np.arange(fewer + 1)]
    return min(1.0, 2 * float(np.exp(ways - differing * math.log(2)).sum()))


def _pairs(predicted_a: Ints | Sequence[Ints], predicted_b: Ints | Sequence[Ints]) -> list[tuple[Ints, Ints]]:
    a_SN, b_SN = np.atleast_2d(np.asarray(predicted_a)), np.atleast_2d(np.asarray(predicted_b))
    if a_SN.shape != b_SN.shape:
        raise ValueError(f"a {a_SN.shape} and b {b_SN.shape} must be as many seeds of as many rows")
    return list(zip(a_SN, b_SN, strict=True))


def _above_zero(found: Influence) -> float:
    variance = found.variance + found.few
    if variance == 0 or math.isinf(variance):
        return 0.5
    return student_cdf(found.value / math.sqrt(variance), found.people - 1)
