"""Paired comparison of two sets of predictions for the same rows: the difference in macro-F1 and its uncertainty.

N rows, C classes, P people, S seeds, D bootstrap draws. The macro-F1 is that of `metrics`: the mean over the classes
that occur in truth or prediction. Everything follows from integer counts, so the order of the rows does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Bools, Ints
from maskcls.results.scores.metrics import Doubles, confusion, macro_f1
from maskcls.results.scores.person_bootstrap import person_counts, resampled_macro_f1, resamples

Counts = tuple[Doubles, Doubles]


@dataclass(frozen=True)
class Difference:
    """The macro-F1 of b minus that of a, with a bootstrap interval over people.

    value       b - a on all rows, the mean over the seeds; negative where b is worse.
    low, high   percentile interval of the draws' b - a, `level` of them inside.
    above_zero  share of the draws in which b is better, in [0, 1]; a tie is not better.
    """

    value: float
    low: float
    high: float
    above_zero: float
    draws: int
    level: float


def paired_bootstrap(
    truth_N: Ints,
    predicted_a: Ints | Sequence[Ints],
    predicted_b: Ints | Sequence[Ints],
    people_N: Sequence[str] | NDArray[Any],
    classes: int,
    *,
    draws: int,
    seed: int,
    level: float = 0.95,
) -> Difference:
    """Compare b with a on the same rows, drawing people, with all their photos, with replacement.

    Reference: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8 (whole clusters).

    A draw scores a and b, and every seed of both, on the same people: what makes these people easy or hard cancels out,
    and the interval is that of the difference, not of two scores. It covers the choice of people, not that of seeds;
    the mean over seeds only makes the latter smaller. Memory stays near the
    size of the input for any number of draws.

    truth_N       0..C-1, or -1 for a row to leave out.
    predicted_a   (N,) int in 0..C-1, or one such row per seed; seed s of a is compared with seed s of b.
    predicted_b   as many as predicted_a.
    people_N      (N,) the person on each row; text or whole numbers.
    level         share of the draws inside the interval, in (0, 1).

    Raises ValueError for no rows, no draws, a level outside (0, 1), unequal lengths or labels outside the classes.

    >>> truth, a, b = np.array([0, 1, 0, 1]), np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1])
    >>> found = paired_bootstrap(truth, a, b, ["ann", "ann", "bob", "bob"], 2, draws=100, seed=0)
    >>> round(found.value, 4), found.low, round(found.high, 4)
    (0.2667, 0.0, 0.6667)
    """
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"draws must be at least 1 and level within (0, 1): got {draws}, {level}")
    truth_N, pairs = np.asarray(truth_N), _pairs(predicted_a, predicted_b)
    if len(people_N) != len(truth_N):
        raise ValueError(f"{len(people_N)} people for {len(truth_N)} rows")
    value = float(np.mean([_macro_f1(truth_N, b, classes) - _macro_f1(truth_N, a, classes) for a, b in pairs]))
    if math.isnan(value):
        raise ValueError("no row has a known truth")
    counted = _counted(truth_N, pairs, people_N, classes)
    people = len(counted[0][0][0])
    drawn_D = np.concatenate([_differences(weights_DP, counted) for weights_DP in resamples(people, draws, seed)])
    low, high = np.quantile(drawn_D, [(1 - level) / 2, (1 + level) / 2])
    return Difference(value, float(low), float(high), float((drawn_D > 0).mean()), draws, level)


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


def _macro_f1(truth_N: Ints, predicted_N: Ints, classes: int) -> float:
    return macro_f1(confusion(truth_N, predicted_N, classes))


def _counted(
    truth_N: Ints, pairs: Sequence[tuple[Ints, Ints]], people_N: Sequence[str] | NDArray[Any], classes: int
) -> list[tuple[Counts, Counts]]:
    """Return hits and marks by person and class of a and of b, for each seed."""
    known_N = truth_N != UNKNOWN
    who_N = np.unique(np.asarray(people_N)[known_N], return_inverse=True)[1]  # sorted: the order of rows is free

    def counts(predicted_N: Ints) -> Counts:
        return person_counts(truth_N[known_N], predicted_N[known_N], who_N, classes)

    return [(counts(a_N), counts(b_N)) for a_N, b_N in pairs]


def _differences(weights_DP: Doubles, counted: Sequence[tuple[Counts, Counts]]) -> Doubles:
    """Return b - a of each draw (D,), the mean over the seeds."""
    each_SD = [resampled_macro_f1(weights_DP, *b) - resampled_macro_f1(weights_DP, *a) for a, b in counted]
    mean_D: Doubles = np.mean(each_SD, axis=0)
    return mean_D
