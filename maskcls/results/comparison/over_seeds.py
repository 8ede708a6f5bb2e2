"""The difference of two ways to train, with an interval that covers both the choice of people and that of seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference, difference_of, paired_influence
from maskcls.results.scores.intervals import LEVEL
from maskcls.results.scores.student import student_cdf, student_quantile


def difference_over_seeds(
    truth_N: Ints,
    predicted_a: Sequence[Ints],
    predicted_b: Sequence[Ints],
    people_N: Sequence[str] | NDArray[Any],
    classes: int,
    *,
    level: float = LEVEL,
) -> Difference:
    """Compare b with a as `paired_difference` does; the interval is also over seeds, where there are several.

    The variance is the sum of that over people, for the mean of the seeds, and of the seeds' own variance divided by
    their number. Student's t has Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946). The few seeds count:
    with two that differ much, the interval is very wide. With one seed it is over people only.

    Arguments and errors are those of `paired_difference`, with one row per seed.
    """
    found = paired_influence(truth_N, predicted_a, predicted_b, people_N, classes)
    seeds = len(predicted_a)
    people_variance = found.variance + found.few
    if seeds < 2 or not math.isfinite(people_variance):
        return difference_of(found, level=level)
    singles = [
        paired_influence(truth_N, a, b, people_N, classes).value for a, b in zip(predicted_a, predicted_b, strict=True)
    ]
    seed_variance = float(np.var(singles, ddof=1)) / seeds
    variance = people_variance + seed_variance
    if variance == 0:
        return difference_of(found, level=level)
    freedom = variance**2 / (people_variance**2 / (found.people - 1) + seed_variance**2 / (seeds - 1))
    half = student_quantile(level, max(freedom, 1.0)) * math.sqrt(variance)
    above_zero = student_cdf(found.value / math.sqrt(variance), max(freedom, 1.0))
    return Difference(found.value, max(-1.0, found.value - half), min(1.0, found.value + half), above_zero, level)
