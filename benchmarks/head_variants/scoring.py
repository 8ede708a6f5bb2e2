"""Out-of-fold rows of a variant scored and compared with the base, people with all their photos.

N rows, J joint classes, P people, one entry per division of people into folds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from head_variants.people import SHARED
from head_variants.shares import expected_labels, with_shares
from head_variants.split import Photos
from head_variants.table import Mode, Variant
from maskcls.labels import Floats, Ints
from maskcls.results.comparison.difference import Difference, difference_of, paired_influence
from maskcls.results.comparison.multiple import family_level
from maskcls.results.people.averaging import cross_fit_averages, split_groups
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import Doubles, confusion, macro_f1
from maskcls.results.scores.student import student_quantile

RULES = ("argmax", "expected")
LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Rows:
    """Labels (N,) by rule, and the loss (N,) of age, of each division."""

    labels: dict[str, list[Ints]]
    loss_DN: list[Doubles]


@dataclass(frozen=True)
class MeanDifference:
    """A mean over rows, the difference to another, and its interval over people."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    """A variant in one mode. scores: macro-F1 by rule; plain, corrected: differences to the base with two intervals."""

    variant: Variant
    mode: Mode
    scores: dict[str, float]
    plain: dict[str, Difference]
    corrected: dict[str, Difference]
    loss: float
    loss_difference: MeanDifference
    seconds: float


def rows_of(
    variant: Variant,
    mode: Mode,
    prob_DNJ: Sequence[Floats],
    fold_DN: Sequence[Ints],
    photos: Photos,
    ids: Sequence[str],
) -> Rows:
    """Return the labels of a variant's out-of-fold probabilities in one mode."""
    labels: dict[str, list[Ints]] = {rule: [] for rule in RULES}
    losses = []
    age_N, rows = photos.labels["age"], np.arange(len(ids))
    for prob_NJ, fold_N in zip(prob_DNJ, fold_DN, strict=True):
        if mode == "grouped" and not variant.itself:
            prob_NJ = averaged(prob_NJ, fold_N, photos, ids)
        wide_NJ = prob_NJ.astype(np.float64)
        if variant.trust is not None:
            truth_N = photos.space.encode(photos.labels)
            wide_NJ = with_shares(wide_NJ, truth_N, fold_N, photos.space, trust=variant.trust)
        labels["argmax"].append(wide_NJ.argmax(axis=1).astype(np.int64))
        labels["expected"].append(expected_labels(wide_NJ, fold_N, own=variant.own))
        age_NC = photos.space.marginals(wide_NJ.astype(np.float32))["age"]
        losses.append(-np.log(np.maximum(age_NC[rows, age_N].astype(np.float64), 1e-12)))
    return Rows(labels, losses)


def averaged(prob_NJ: Floats, fold_N: Ints, photos: Photos, ids: Sequence[str]) -> Floats:
    """Return the rows averaged within groups as maskcls does: a weight per mask class, fitted on the other folds."""
    rows = Predictions(np.asarray(ids, dtype=np.str_), prob_NJ, photos.space)
    return cross_fit_averages(rows, photos.labels, split_groups(photos.look_N, fold_N), fold_N, SHARED).prob


def compare(
    variant: Variant, mode: Mode, base: Rows, own: Rows, photos: Photos, seconds: float, *, tried: int
) -> Compared:
    """Compare a variant with the base. tried: number of intervals that are to hold together."""
    truth_N, size = photos.space.encode(photos.labels), photos.space.size
    scores, plain, corrected = {}, {}, {}
    for rule in RULES:
        a, b = base.labels[rule], own.labels[rule]
        scores[rule] = float(np.mean([macro_f1(confusion(truth_N, one, size)) for one in b]))
        found = paired_influence(truth_N, a, b, photos.person_N, size)
        plain[rule] = difference_of(found, level=LEVEL)
        corrected[rule] = difference_of(found, level=family_level(tried, LEVEL))
    change_N = np.mean(own.loss_DN, axis=0) - np.mean(base.loss_DN, axis=0)
    difference = mean_difference(change_N, photos.person_N, LEVEL)
    loss = float(np.mean(own.loss_DN))
    return Compared(variant, mode, scores, plain, corrected, loss, difference, seconds)


def mean_difference(change_N: Doubles, person_N: NDArray[np.int64], level: float) -> MeanDifference:
    """Return the mean of a change with Student's interval over people, each with all their rows.

    >>> found = mean_difference(np.array([1.0, 3.0]), np.array([0, 1]), 0.5)
    >>> round(found.low, 6), found.value, round(found.high, 6)
    (1.0, 2.0, 3.0)
    """
    people = int(person_N.max()) + 1
    value = float(change_N.mean())
    effect_P = np.bincount(person_N, change_N - value, people) / len(change_N)
    half = student_quantile(level, people - 1) * math.sqrt(float((effect_P**2).sum()) * people / (people - 1))
    return MeanDifference(value, value - half, value + half)
