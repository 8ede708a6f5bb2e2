"""Confidence and prediction intervals: where the score lies on all people, and where that of a new set of people may.

Coverage was measured on drawn people: docs/adr/0019-intervals-without-resampling.md, benchmarks/honesty/README.md.
P people.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Bools, Ints
from maskcls.results.scores.influence import Influence, score_influence
from maskcls.results.scores.person_counts import count_people
from maskcls.results.scores.student import student_quantile

LEVEL = 0.95
FEW_ERRORS = 5  # fewer errors, or right answers, in independent units: Wilson's interval instead of the logit's
TINY = 1e-9


@dataclass(frozen=True)
class Interval:
    """A confidence interval: covers the value on all people of this kind in a share `level` of repetitions."""

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class PredictionInterval:
    """A prediction interval: covers the value on a new set of `people` people in a share `level` of repetitions."""

    low: float
    high: float
    people: int
    level: float


@dataclass(frozen=True)
class ScoreIntervals:
    """Both intervals of a macro-F1."""

    confidence: Interval
    prediction: PredictionInterval


def macro_f1_intervals(
    true_N: Ints,
    pred_N: Ints,
    person_N: Sequence[str] | NDArray[Any],
    classes: int,
    *,
    new_people: int | None = None,
    level: float = LEVEL,
) -> ScoreIntervals:
    """Give the macro-F1 its intervals, over people with all their rows.

    Photos of one person are similar, so intervals over rows would be too narrow. The order of the rows does not matter.

    true_N, pred_N, person_N  as for `count_people`.
    new_people                people in the set of the prediction interval; None: as many as there are here.
    level                     in (0, 1).

    Raises ValueError as `count_people`, and for a level outside (0, 1) or fewer than one new person.
    """
    found = score_influence(count_people(true_N, pred_N, person_N, classes))
    return ScoreIntervals(
        score_interval(found, level), score_prediction(found, found.people if new_people is None else new_people, level)
    )


def score_interval(found: Influence, level: float = LEVEL) -> Interval:
    """Return the confidence interval of a macro-F1; 0 to 1 for a single person.

    Of Student's t on the logit of the score, or Wilson's where there are few errors or few right answers.
    """
    if found.people < 2:
        return Interval(0.0, 1.0, _checked(level))
    low, high = _score_ends(found, found.value - found.bias, found.variance + found.few, level, most=found.people)
    return Interval(low, high, level)


def score_prediction(found: Influence, new_people: int, level: float = LEVEL) -> PredictionInterval:
    """Return where the macro-F1 of a new set of people may lie: both sets of people differ from all people.

    Reaches 1 where the new set may well hold no error at all.
    """
    part = found.people / _counted(new_people)
    if found.people < 2:
        return PredictionInterval(0.0, 1.0, new_people, _checked(level))
    middle = found.value - found.bias + found.bias * part
    new = found.variance * part + found.few * part**2
    most = found.people / (1 + part)
    low, high = _score_ends(found, middle, found.variance + found.few + new, level, most=most)
    errors = found.middle * (1 - found.middle) / new * (1 - found.value)  # expected in the new set
    none_at_all = math.exp(-errors) > (1 - level) / 2
    return PredictionInterval(low, 1.0 if none_at_all else high, new_people, level)


def difference_interval(found: Influence, level: float = LEVEL) -> Interval:
    """Return the confidence interval of a difference, of Student's t; -1 to 1 for a single person."""
    return Interval(*_difference_ends(found, found.variance + found.few, level), _checked(level))


def difference_prediction(found: Influence, new_people: int, level: float = LEVEL) -> PredictionInterval:
    """Return where the difference on a new set of people may lie."""
    part = found.people / _counted(new_people)
    variance = found.variance * (1 + part) + found.few * (1 + part**2)
    return PredictionInterval(*_difference_ends(found, variance, level), new_people, _checked(level))


def share_interval(right_N: Bools, person_N: NDArray[Any], level: float = LEVEL) -> Interval | None:
    """Return Wilson's interval of the share of rows that are right, for rows in people; None without rows.

    Reference: Wilson 1927, Journal of the American Statistical Association 22; with the number of independent rows that
    the variance between people gives, at most all rows; the number of people where all or no rows are right.
    """
    if not len(right_N):
        return None
    who_N = np.unique(person_N, return_inverse=True)[1]
    rows_P, right_P = np.bincount(who_N), np.bincount(who_N, weights=right_N)
    people, share = len(rows_P), float(np.mean(right_N))
    if people < 2:
        return Interval(0.0, 1.0, _checked(level))
    effect_P = (right_P - share * rows_P) / len(right_N)
    variance = float((effect_P**2).sum()) * people / (people - 1)
    units = people if variance < TINY**2 else min(share * (1 - share) / variance, len(right_N))
    return Interval(*_wilson(share, units, quantile(people - 1, level)), level)


def quantile(freedom: float, level: float = LEVEL) -> float:
    """Return the two-sided quantile of Student's t."""
    return student_quantile(_checked(level), freedom)


def _score_ends(found: Influence, middle: float, variance: float, level: float, *, most: float) -> tuple[float, float]:
    """Return the ends of an interval around `middle` with this variance, within 0..1.

    most  people that few errors are evidence of at most: all photos of a person may be right together.
    """
    t, share = quantile(found.freedom, level), min(max(middle, 0.0), 1.0)
    spread = found.middle * (1 - found.middle)  # divided by a variance: as many independent answers would be as certain
    if min(share, 1 - share) * spread / (found.variance + found.few) < FEW_ERRORS:
        return _wilson(share, min(spread / variance, most), t)
    reach = t * math.sqrt(variance) / (share * (1 - share))
    logit = math.log(share / (1 - share))
    return _expit(logit - reach), _expit(logit + reach)


def _wilson(share: float, units: float, t: float) -> tuple[float, float]:
    middle = (share + t**2 / (2 * units)) / (1 + t**2 / units)
    reach = t * math.sqrt(share * (1 - share) / units + t**2 / (4 * units**2)) / (1 + t**2 / units)
    # A share of 0 or 1 is an end itself; rounding must not leave it outside.
    return max(0.0, middle - reach) if share > 0 else 0.0, min(1.0, middle + reach) if share < 1 else 1.0


def _difference_ends(found: Influence, variance: float, level: float) -> tuple[float, float]:
    if found.people < 2:
        return -1.0, 1.0
    reach = quantile(found.people - 1, level) * math.sqrt(variance)
    return max(-1.0, found.value - reach), min(1.0, found.value + reach)


def _expit(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"the level must be within (0, 1): got {level}")
    return level


def _counted(people: int) -> int:
    if people < 1:
        raise ValueError(f"a new set has at least one person: got {people}")
    return people
