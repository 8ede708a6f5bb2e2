"""The strength and the scale of a head, chosen between parts of its training people.

N rows, P classes that occur in a fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.labels import Ints
from maskcls.nn.fitting.fitted_head import StandardHead, Wide, log_softmax
from maskcls.nn.fitting.head_rows import HeadRows
from maskcls.nn.fitting.solvers import Solver

LARGEST_SCALE = 1e4
SCALE_TOLERANCE = 1e-5  # of the natural logarithm of the scale


@dataclass(frozen=True)
class ChosenHead:
    """A head of standardised features, with what was chosen for it.

    scale  its logits are multiplied by. loss: the weighted log loss of rows that were left out, NaN where none were.
    """

    head: StandardHead
    strength: float
    scale: float
    loss: float


@dataclass(frozen=True)
class _LeftOut:
    """Logits (N, P) of rows that a head was not fitted on, the place of each one's class among P, and its weight."""

    logit_NP: Wide
    place_N: Ints
    weight_N: Wide


def choose_head(rows: HeadRows, solve: Solver, strengths: Sequence[float], *, scaled: bool) -> ChosenHead:
    """Return the head of all rows, with the strength whose heads have the lowest log loss on parts left out.

    strengths  at least one, the strongest first: the first of equal ones is chosen.
    scaled     fit a factor of the logits on the same rows; for heads whose outputs are no logits, or overconfident.

    Every part is left out once; a row whose class does not occur in the others is passed over. With fewer than two
    parts the strength is the middle one, and the scale 1.
    """
    parts, every = rows.parts, np.unique(rows.part_N).tolist()
    if len(parts) < 2:
        strength = strengths[len(strengths) // 2]
        return ChosenHead(solve(every, strength), strength, 1.0, math.nan)
    if len(strengths) == 1 and not scaled:
        return ChosenHead(solve(every, strengths[0]), strengths[0], 1.0, math.nan)
    tried = []
    for strength in strengths:
        left_out = [_left_out(rows, part, solve([one for one in every if one != part], strength)) for part in parts]
        scale = best_scale(left_out) if scaled else 1.0
        tried.append((log_loss(left_out, scale), strength, scale))
    loss, strength, scale = min(tried, key=lambda one: one[0])
    return ChosenHead(solve(every, strength).scaled(scale), strength, scale, loss)


def _left_out(rows: HeadRows, part: int, head: StandardHead) -> _LeftOut:
    place_n = np.flatnonzero((rows.part_N == part) & np.isin(rows.label_N, head.present_P))
    class_n = np.searchsorted(head.present_P, rows.label_N[place_n])
    return _LeftOut(head.logits(rows.feature_ND[place_n]), class_n, rows.choice_weight_N[place_n])


def log_loss(left_out: Sequence[_LeftOut], scale: float) -> float:
    """Return the weighted mean of the negative log probability of the rows' classes, from scaled logits."""
    value, whole = 0.0, 0.0
    for one in left_out:
        log_N = log_softmax(scale * one.logit_NP)[np.arange(len(one.place_N)), one.place_N]
        value -= float(one.weight_N @ log_N)
        whole += float(one.weight_N.sum())
    return value / whole if whole else math.nan


def best_scale(left_out: Sequence[_LeftOut]) -> float:
    """Return the factor of the logits with the lowest log loss, up to LARGEST_SCALE (Guo et al. 2017, 1706.04599)."""
    from scipy.optimize import minimize_scalar

    if not any(len(one.place_N) for one in left_out):
        return 1.0
    bound = math.log(LARGEST_SCALE)
    found = minimize_scalar(
        lambda log_scale: log_loss(left_out, math.exp(log_scale)),
        bounds=(-bound, bound),
        method="bounded",
        options={"xatol": SCALE_TOLERANCE},
    )
    return math.exp(float(found.x))
