"""The kinds of head as functions of the parts of the rows that they are fitted on, and of a strength.

What several strengths and several heads of a fold share is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from maskcls.nn.fitting.discriminant import fit_discriminant
from maskcls.nn.fitting.fitted_head import StandardHead, WideHead
from maskcls.nn.fitting.head_rows import HeadRows
from maskcls.nn.fitting.hidden_layer import fit_hidden
from maskcls.nn.fitting.logistic import TOLERANCE, curved, fit_logistic
from maskcls.nn.fitting.ridge import fit_ridge
from maskcls.nn.fitting.second_moments import ClassMoments, SecondMoments, class_moments, second_moments

Solver = Callable[
    [Sequence[int], float], StandardHead
]  # (parts, strength) -> the head fitted on the rows of these parts
Grams = dict[bytes, dict[int, SecondMoments]]  # by rows and weights, which several heads of a fold may share

CHOOSING_TOLERANCE = 1e-3  # of the fits between which the strength of logistic regression is chosen


def ridge_solver(rows: HeadRows, grams: Grams) -> Solver:
    """Return the solver of `fit_ridge`."""
    return _by_moments(rows, grams, fit_ridge)


def discriminant_solver(rows: HeadRows, grams: Grams, *, balance: float) -> Solver:
    """Return the solver of `fit_discriminant`."""
    return _by_moments(
        rows, grams, lambda moments, by_class, strength: fit_discriminant(moments, by_class, strength, balance=balance)
    )


def logistic_solver(rows: HeadRows, about: float) -> Solver:
    """Return the solver of `fit_logistic`. about: a strength in the middle of those that are asked for.

    A fit on some of the parts begins where that with the strength before ended, and ends early; a fit on all of them
    depends on nothing that was asked before.
    """
    features, every = curved(rows.feature_ND, about), tuple(np.unique(rows.part_N).tolist())
    last: dict[tuple[int, ...], WideHead] = {}

    def solve(parts: Sequence[int], strength: float) -> WideHead:
        key = tuple(sorted(parts))
        places = np.flatnonzero(np.isin(rows.part_N, key))
        share_n = rows.weight_N[places] / rows.weight_N[places].sum()
        whole = key == every
        last[key] = fit_logistic(
            features.at(places),
            rows.label_N[places],
            share_n,
            strength,
            start=None if whole else last.get(key),
            tolerance=TOLERANCE if whole else CHOOSING_TOLERANCE,
        )
        return last[key]

    return solve


def hidden_solver(rows: HeadRows, *, width: int, seed: int) -> Solver:
    """Return the solver of `fit_hidden`."""
    feature_ND = rows.feature_ND.astype(np.float32)

    def solve(parts: Sequence[int], strength: float) -> StandardHead:
        places = np.flatnonzero(np.isin(rows.part_N, sorted(parts)))
        label_n, weight_n = rows.label_N[places], rows.weight_N[places]
        return fit_hidden(feature_ND[places], label_n, weight_n, strength, width=width, seed=seed)

    return solve


def _by_moments(rows: HeadRows, grams: Grams, fit: Callable[[SecondMoments, ClassMoments, float], WideHead]) -> Solver:
    places = {part: np.flatnonzero(rows.part_N == part) for part in np.unique(rows.part_N).tolist()}
    key = np.stack([rows.row_N.astype(np.float64), rows.weight_N]).tobytes()
    if key not in grams:
        grams[key] = {
            part: second_moments(rows.feature_ND[place_n], rows.weight_N[place_n]) for part, place_n in places.items()
        }
    by_class = {
        part: class_moments(rows.feature_ND[place_n], rows.weight_N[place_n], rows.label_N[place_n], rows.classes)
        for part, place_n in places.items()
    }

    def solve(parts: Sequence[int], strength: float) -> WideHead:
        moments = reduce(SecondMoments.__add__, (grams[key][part] for part in sorted(parts)))
        return fit(moments, reduce(ClassMoments.__add__, (by_class[part] for part in sorted(parts))), strength)

    return solve
