"""The difference of two ways to train, with an interval that covers both the choice of people and that of seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference
from maskcls.results.scores.influence import difference_influence
from maskcls.results.scores.intervals import LEVEL
from maskcls.results.scores.person_counts import PersonCounts, count_people
from maskcls.results.scores.student import student_cdf, student_quantile

POWER = 0.8  # share of repetitions in which a gain of `SeedSpread.findable` is shown


@dataclass(frozen=True)
class SeedSpread:
    """A difference b - a, and how far it may vary with the people and the seeds.

    value     the mean over the seeds; singles: of each seed.
    variance  of `value` over people and seeds; infinite for one person.
    freedom   degrees of freedom of the variance, at least 1.
    """

    value: float
    singles: tuple[float, ...]
    variance: float
    freedom: float

    def difference(self, level: float = LEVEL) -> Difference:
        """Return the difference with its interval of Student's t, within -1..1."""
        if not math.isfinite(self.variance):
            return Difference(self.value, -1.0, 1.0, 0.5, level)
        if self.variance == 0:  # the same answers, or one seed that moves all people by the same amount
            return Difference(self.value, self.value, self.value, 0.5, level)
        half = student_quantile(level, self.freedom) * math.sqrt(self.variance)
        above_zero = student_cdf(self.value / math.sqrt(self.variance), self.freedom)
        return Difference(self.value, max(-1.0, self.value - half), min(1.0, self.value + half), above_zero, level)

    def findable(self, level: float = LEVEL, power: float = POWER) -> float:
        """Return the smallest true gain whose interval lies above 0 in a share `power` of repetitions, at most 1."""
        if not math.isfinite(self.variance):
            return 1.0
        reach = student_quantile(level, self.freedom) + student_quantile(2 * power - 1, self.freedom)
        return min(1.0, reach * math.sqrt(self.variance))


def spread_over_seeds(pairs: Sequence[tuple[PersonCounts, PersonCounts]]) -> SeedSpread:
    """Return the difference in macro-F1, b - a, of pairs (a, b), one per seed, with its variance.

    The variance is the sum of that over people, for the mean of the seeds, and of the seeds' own variance divided by
    their number. The degrees of freedom are Satterthwaite's (Biometrics Bulletin 2, 1946). The few seeds count: with
    two that differ much, the interval is very wide. With one seed it is over people only.
    """
    found, seeds = difference_influence(pairs), len(pairs)
    singles = tuple(difference_influence([pair]).value for pair in pairs)
    by_people = found.variance + found.few
    by_seeds = float(np.var(singles, ddof=1)) / seeds if seeds > 1 else 0.0
    variance, freedom = by_people + by_seeds, float(max(found.people - 1, 1))
    if by_seeds > 0 and math.isfinite(variance):
        freedom = variance**2 / (by_people**2 / (found.people - 1) + by_seeds**2 / (seeds - 1))
    return SeedSpread(found.value, singles, variance, max(freedom, 1.0))


def difference_over_seeds(
    truth_N: Ints,
    predicted_a: Sequence[Ints],
    predicted_b: Sequence[Ints],
    people_N: Sequence[str] | NDArray[Any],
    classes: int,
    *,
    level: float = LEVEL,
) -> Difference:
    """Compare b with a as `paired_difference` does; the interval is also over seeds, see `spread_over_seeds`.

    Arguments and errors are those of `paired_difference`, with one row per seed.
    """
    if len(predicted_a) != len(predicted_b):
        raise ValueError(f"a has {len(predicted_a)} seeds, b {len(predicted_b)}")

    def counted(label_N: Ints) -> PersonCounts:
        return count_people(truth_N, label_N, people_N, classes)

    pairs = [(counted(a_N), counted(b_N)) for a_N, b_N in zip(predicted_a, predicted_b, strict=True)]
    return spread_over_seeds(pairs).difference(level)
