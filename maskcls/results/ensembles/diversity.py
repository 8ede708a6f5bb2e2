"""Diversity of an ensemble: the score lost without each member, and how much two members agree.

N rows, J joint classes, M members, as M arrays of the same rows in the same order. A member that is worse than the rest
but wrong elsewhere may help more than a twin of the best one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from maskcls.labels import UNKNOWN, Floats, Ints
from maskcls.results.scores.metrics import Doubles, confusion, macro_f1


def member_value(prob_MNJ: Sequence[Floats], true_N: Ints, weights_M: Doubles) -> Doubles:
    """Return by how much the macro-F1 of the weighted mean would fall without each member, (M,) float64.

    The others keep their weights in proportion; weights are not searched again. Negative: the mean is better without
    it. NaN where the others weigh nothing, and everywhere when no row has a known truth.

    true_N     0..J-1, or -1 for a row to leave out.
    weights_M  >= 0, not all 0; equal for the plain mean.
    """
    total_NJ = np.zeros(prob_MNJ[0].shape)
    for weight, prob_NJ in zip(weights_M.tolist(), prob_MNJ, strict=True):
        total_NJ += np.multiply(prob_NJ, weight, dtype=np.float64)

    def score(sum_NJ: Doubles) -> float:
        # float32, as predictions are kept: what is left of a difference after subtracting must not decide a tie.
        return macro_f1(confusion(true_N, sum_NJ.astype(np.float32).argmax(axis=1), sum_NJ.shape[1]))

    whole = score(total_NJ)
    return np.array(
        [
            whole - score(total_NJ - np.multiply(prob_NJ, weight, dtype=np.float64)) if left > 0 else math.nan
            for prob_NJ, weight, left in zip(prob_MNJ, weights_M.tolist(), _others(weights_M), strict=True)
        ]
    )


def kappa(labels_MN: Sequence[Ints], classes: int) -> Doubles:
    """Return Cohen's kappa of the labels of every two members, (M, M) float64: 1 = always the same, 0 = as by chance.

    Reference: Cohen 1960, Educational and Psychological Measurement 20. It needs no truth, so test rows will do.

    labels_MN  (N,) int each, 0..classes-1.

    NaN where chance alone would agree always (both give one class only), on the diagonal too.
    """
    pairs = itertools.combinations_with_replacement(range(len(labels_MN)), 2)
    kappa_MM = np.empty((len(labels_MN), len(labels_MN)))
    for a, b in pairs:
        kappa_MM[a, b] = kappa_MM[b, a] = _kappa(confusion(labels_MN[a], labels_MN[b], classes))
    return kappa_MM


def correlation(prob_MNJ: Sequence[Floats], true_N: Ints) -> Doubles:
    """Return Pearson's correlation of the true class's probability between every two members, (M, M) float64.

    Over the rows with known labels. High: the same rows are hard for both, and their mean gains little. NaN for a
    member that gives every row the same.
    """
    rows = np.flatnonzero(np.asarray(true_N) != UNKNOWN)
    true_MN = np.stack([prob_NJ[rows, true_N[rows]].astype(np.float64) for prob_NJ in prob_MNJ])
    true_MN -= true_MN.mean(axis=1, keepdims=True)
    length_M = np.sqrt((true_MN**2).sum(axis=1))
    true_MN /= np.where(length_M > 0, length_M, math.nan)[:, None]
    correlation_MM: Doubles = true_MN @ true_MN.T
    return correlation_MM


def _others(weights_M: Doubles) -> list[float]:
    """Return what the weights sum to without each member."""
    return [float(np.delete(weights_M, member).sum()) for member in range(len(weights_M))]


def _kappa(counts_CC: Ints) -> float:
    rows = int(counts_CC.sum())
    if not rows:
        return math.nan
    agreed = np.trace(counts_CC) / rows
    chance = float(counts_CC.sum(axis=0) @ counts_CC.sum(axis=1)) / rows**2
    return math.nan if chance == 1 else float((agreed - chance) / (1 - chance))
