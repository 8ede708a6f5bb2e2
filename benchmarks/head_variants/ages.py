"""More from ages in years: soft labels, a regression with its residuals, finer bands.

n training photos, m validation photos, D features, C bands, F finer bands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from head_variants.pools import pool_weights, pooled
from head_variants.split import Fit, Split, fit
from maskcls.labels import Ints
from maskcls.nn.fitting.discriminant import fit_discriminant
from maskcls.nn.fitting.fitted_head import Wide, WideHead
from maskcls.nn.fitting.head_rows import HeadRows
from maskcls.nn.fitting.ridge import fit_ridge
from maskcls.nn.fitting.second_moments import ClassMoments, SecondMoments, second_moments
from maskcls.nn.fitting.solvers import Solver
from maskcls.training.heads.fold_heads import STRENGTHS

AGE = "age"
WIDTHS = (0.0, 1.0, 2.0, 4.0, 8.0)  # years; 0: labels as they are
FINER = (25, 30, 35, 40, 45, 50, 55, 60, 65)
PENALTIES = (30.0, 10.0, 3.0, 1.0, 0.3)
TINY = 1e-4

Logs = dict[str, Wide]
MomentFit = Callable[[SecondMoments, ClassMoments, float], WideHead]


def band_shares(age_N: Ints, bins: Sequence[int], width: float) -> Wide:
    """Return how probable each band (N, C) is for a person of this age, if ages are wrong by a normal error.

    A year is taken for its middle. width: the standard deviation in years; 0: one band has 1.

    >>> band_shares(np.array([20, 30]), (30,), 4.0).round(3).tolist()
    [[0.991, 0.009], [0.45, 0.55]]
    """
    from scipy.stats import norm

    if width == 0:
        return np.eye(len(bins) + 1)[np.searchsorted(bins, age_N, side="right")]
    below = norm.cdf((np.asarray(bins, np.float64) - (age_N[:, None] + 0.5)) / width)
    found: Wide = np.diff(np.concatenate([np.zeros((len(age_N), 1)), below, np.ones((len(age_N), 1))], axis=1), axis=1)
    return found


def soft_solver(rows: HeadRows, share_NC: Wide, moments_of: MomentFit) -> Solver:
    """Return a solver in which row n counts share_NC[n, c] times in class c."""
    places = {part: np.flatnonzero(rows.part_N == part) for part in np.unique(rows.part_N).tolist()}
    grams = {part: second_moments(rows.feature_ND[at], rows.weight_N[at]) for part, at in places.items()}
    by_class = {
        part: ClassMoments(share_NC[at].sum(axis=0), share_NC[at].T @ rows.feature_ND[at])
        for part, at in places.items()
    }

    def solve(parts: Sequence[int], strength: float) -> WideHead:
        whole = reduce(SecondMoments.__add__, (grams[part] for part in parts))
        return moments_of(whole, reduce(ClassMoments.__add__, (by_class[part] for part in parts)), strength)

    return solve


def _soft(one: Split, kind: str, moments_of: MomentFit) -> Logs:
    (known_ND, new_ND), logs, tried = one.standard(), one.log_base(), list[Fit]()
    bins = one.space.task(AGE).bins
    strength = one.base(AGE, kind).strength
    near = STRENGTHS[kind]
    place = near.index(strength)
    for width in WIDTHS:
        share_NC = band_shares(one.age_n, bins, width)
        tried.append(
            fit(
                known_ND,
                one.labels[AGE],
                one.part_n,
                one.classes(AGE),
                new_ND,
                kind=kind,
                solver=lambda rows, share_NC=share_NC: soft_solver(rows, share_NC, moments_of),  # type: ignore[misc]
                strengths=near[max(0, place - 1) : place + 2],
            )
        )
    logs[AGE] = min(tried, key=lambda found: found.loss).new
    return logs


def soft_discriminant(one: Split) -> Logs:
    """Discriminant analysis in which a photo near a border belongs partly to both bands.

    The width of the error of ages is the one with the lowest log loss of the labels on inner folds.
    """
    return _soft(
        one, "lda", lambda moments, by_class, strength: fit_discriminant(moments, by_class, strength, balance=0)
    )


def soft_ridge(one: Split) -> Logs:
    """Ridge regression on the same soft labels."""
    return _soft(one, "ridge", fit_ridge)


def finer_bands(one: Split) -> Logs:
    """Discriminant analysis on bands of five years, whose probabilities are added up."""
    (known_ND, new_ND), logs = one.standard(), one.log_base()
    fine_n = np.searchsorted(FINER, one.age_n, side="right").astype(np.int64)
    found = fit(known_ND, fine_n, one.part_n, len(FINER) + 1, new_ND, grams=one.grams.setdefault("last", {}))
    band_F = np.searchsorted(one.space.task(AGE).bins, [0, *FINER], side="right")
    logs[AGE] = np.log(np.maximum(np.exp(found.new) @ np.eye(one.classes(AGE))[band_F], 1e-12))
    return logs


def residual_shares(
    known_N: Wide, age_N: NDArray[np.float64], asked_M: Wide, bins: Sequence[int], *, spread: float
) -> Wide:
    """Return the probability of each band (M, C) for predicted ages, from residuals of photos with similar ones.

    known_N, age_N  predicted and true ages of photos that the prediction was not fitted on.
    spread          standard deviation, in years, of the normal kernel that says what is similar.
    """
    residual_N = age_N - known_N
    weight_MN = np.exp(-0.5 * ((asked_M[:, None] - known_N) / spread) ** 2) + 1e-9
    weight_MN /= weight_MN.sum(axis=1, keepdims=True)
    found = np.empty((len(asked_M), len(bins) + 1))
    above = [(weight_MN * (asked_M[:, None] + residual_N >= edge)).sum(axis=1) for edge in bins]
    edges = [np.ones(len(asked_M)), *above, np.zeros(len(asked_M))]
    for c in range(len(bins) + 1):
        found[:, c] = edges[c] - edges[c + 1]
    return (found + TINY) / (1 + TINY * found.shape[1])


@dataclass(frozen=True, eq=False)
class Years:
    """Predicted ages and log probabilities of bands, of training photos by inner folds and of validation photos."""

    years_n: Wide
    new_years_m: Wide
    known: Wide
    new: Wide


def _regression(one: Split) -> Years:
    from scipy.linalg import solve
    from scipy.optimize import minimize_scalar

    (known_ND, new_ND), age_n = one.standard(), one.age_n.astype(np.float64) + 0.5
    parts = np.unique(one.part_n)
    at = {part: np.flatnonzero(one.part_n == part) for part in parts}
    gram = {part: known_ND[at[part]].T @ known_ND[at[part]] for part in parts}
    cross = {part: known_ND[at[part]].T @ (age_n[at[part]] - age_n.mean()) for part in parts}

    def head(some: Sequence[int], penalty: float) -> Wide:
        rows = sum(len(at[part]) for part in some)
        matrix = sum(gram[part] for part in some) / rows + penalty * np.eye(known_ND.shape[1])
        found: Wide = solve(matrix, sum(cross[part] for part in some) / rows, assume_a="pos")
        return found

    tried = []
    for penalty in PENALTIES:
        inner_n = np.empty(len(age_n))
        for part in parts:
            inner_n[at[part]] = known_ND[at[part]] @ head([p for p in parts if p != part], penalty)
        slope, intercept = np.polyfit(inner_n, age_n, 1)  # ridge shrinks towards the mean
        inner_n = slope * inner_n + intercept
        tried.append((float(np.mean((age_n - inner_n) ** 2)), penalty, slope, intercept, inner_n))
    _, penalty, slope, intercept, inner_n = min(tried, key=lambda found: found[0])
    asked_m = slope * (new_ND @ head(list(parts), penalty)) + intercept
    bins, inner = one.space.task(AGE).bins, np.empty((len(age_n), one.classes(AGE)))

    def inner_rows(spread: float) -> Wide:
        for part in parts:  # the residuals of other people
            other = one.part_n != part
            inner[at[part]] = residual_shares(inner_n[other], age_n[other], inner_n[at[part]], bins, spread=spread)
        return inner

    rows = np.arange(len(age_n))
    spread = minimize_scalar(
        lambda value: -np.log(inner_rows(value)[rows, one.labels[AGE]]).mean(),
        bounds=(1.0, 20.0),
        method="bounded",
        options={"xatol": 1.0},
    ).x
    new = residual_shares(inner_n, age_n, asked_m, bins, spread=spread)
    return Years(inner_n, asked_m, np.log(inner_rows(spread).copy()), np.log(new))


def years(one: Split) -> Years:
    """Return ridge regression of the age in years, once."""
    return one.once("regression", _regression)


def regression(one: Split) -> Logs:
    """Ridge regression of the age in years; residuals of inner folds make probabilities of it."""
    return one.log_base() | {AGE: years(one).new}


def with_regression(one: Split) -> Logs:
    """The base and that regression, a weighted sum of log probabilities; the weights are fitted on inner folds."""
    base, found = one.base(AGE), years(one)
    weights = pool_weights([base.known, found.known], one.labels[AGE])
    return one.log_base() | {AGE: pooled(weights, [base.new, found.new])}


def linear_terms(year_N: Wide, classes: int) -> list[Wide]:
    """Return terms (N, C) whose weighted sum gives each class but the last a line in the predicted age.

    >>> [term.tolist() for term in linear_terms(np.array([64.0]), 2)]
    [[[1.0, 0.0]], [[2.0, 0.0]]]
    """
    score_N, one_CC = (year_N - 40) / 12, np.eye(classes)
    return [value_N[:, None] * one_CC[c] for c in range(classes - 1) for value_N in (np.ones(len(year_N)), score_N)]


def linear_in_years(one: Split) -> Logs:
    """The base's logits and, for each band, a line in the predicted age: one linear head of the features in the end."""
    base, found, classes = one.base(AGE), years(one), one.classes(AGE)
    weights = pool_weights([base.known, *linear_terms(found.years_n, classes)], one.labels[AGE])
    return one.log_base() | {AGE: pooled(weights, [base.new, *linear_terms(found.new_years_m, classes)])}
