"""A head with one hidden layer on standardised features, fitted by Adam in single precision.

N rows, B rows of a step, D features, H units of the hidden layer, C classes of a task, P of them present.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats, Ints
from maskcls.nn.fitting.fitted_head import BELOW, FittedHidden, StandardHead, Wide

Array = NDArray[Any]  # float32 in a fit

BATCH = 256  # rows of a step, at most
EPOCHS = 8
FEWEST_STEPS = 300
RATE = 1e-2  # at the first step; it falls to 0 along half a cosine
BETAS = (0.9, 0.999)
SMALL = 1e-8


@dataclass(frozen=True)
class HiddenHead(StandardHead):
    """Logits (N, P) are max(feature_ND @ weight_DH + bias_H, 0) @ weight_HP + bias_P, for the classes that occur."""

    weight_DH: Array
    bias_H: Array
    weight_HP: Array
    bias_P: Array

    def logits(self, feature_ND: Wide) -> Wide:
        """Return the logits (N, P), computed in the precision of the weights."""
        hidden_NH = _hidden(feature_ND.astype(self.weight_DH.dtype), self.weight_DH, self.bias_H)
        found: Wide = (hidden_NH @ self.weight_HP + self.bias_P).astype(np.float64)
        return found

    def scaled(self, factor: float) -> HiddenHead:
        """Return the head whose logits are multiplied by a factor."""
        return HiddenHead(self.present_P, self.weight_DH, self.bias_H, self.weight_HP * factor, self.bias_P * factor)

    def for_raw(self, mean_D: Wide, deviation_D: Wide, classes: int) -> FittedHidden:
        """Return a head of standardised features as one of raw features: only its first layer differs."""
        weight_HD = self.weight_DH.T.astype(np.float64) / deviation_D
        bias_H = self.bias_H - weight_HD @ mean_D
        weight_CH, bias_C = np.zeros((classes, len(bias_H))), np.zeros(classes)
        weight_CH[self.present_P], bias_C[self.present_P] = self.weight_HP.T, self.bias_P
        bias_C[np.setdiff1d(np.arange(classes), self.present_P)] = self.bias_P.mean() - BELOW
        wide = (weight_HD, bias_H, weight_CH, bias_C)
        return FittedHidden(*(one.astype(np.float32) for one in wide))


def fit_hidden(
    feature_ND: Floats, label_N: Ints, weight_N: Wide, strength: float, *, width: int, seed: int
) -> HiddenHead:
    """Return a head with `width` hidden units, fitted to a low weighted cross-entropy.

    Minimised is the mean over rows of weight times cross-entropy, plus strength / 2 times the sum of the squared
    weights of both layers; biases are not penalised. The number of steps of Adam (Kingma and Ba 2015,
    arXiv:1412.6980) is a function of N alone: no row stops it. Before the first step, all rows get the classes' shares.

    feature_ND  standardised. label_N: the class of each row.
    weight_N    above 0; only their ratios count.
    seed        of the first weights and of the order of rows.

    The same bits for the same arguments, with one thread of BLAS.
    """
    present, place_N = np.unique(label_N, return_inverse=True)
    share_N = (weight_N / weight_N.mean()).astype(np.float32)
    rng, features = np.random.default_rng(seed), feature_ND.shape[1]
    flat = np.zeros(features * width + width + width * len(present) + len(present), dtype=np.float32)
    weight_DH, bias_H, weight_HP, bias_P = _layers(flat, features, width, len(present))
    weight_DH[:] = rng.standard_normal(weight_DH.shape, dtype=np.float32) / math.sqrt(features)
    share_P = np.bincount(place_N, weights=weight_N)
    bias_P[:] = np.log(share_P / share_P.sum())
    slope, first, second = (np.zeros_like(flat) for _ in range(3))
    slopes = _layers(slope, features, width, len(present))
    steps = _steps(len(label_N))
    layers = (weight_DH, bias_H, weight_HP, bias_P)
    for step, rows_B in enumerate(_batches(len(label_N), steps, rng), start=1):
        _, found = penalised_loss(layers, feature_ND[rows_B], place_N[rows_B], share_N[rows_B], strength)
        for whole, part in zip(slopes, found, strict=True):
            whole[:] = part
        first += (1 - BETAS[0]) * (slope - first)
        second += (1 - BETAS[1]) * (slope * slope - second)
        rate = RATE * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps))
        size = rate / (1 - BETAS[0] ** step)
        flat -= size * first / (np.sqrt(second / (1 - BETAS[1] ** step)) + SMALL)
    return HiddenHead(present, weight_DH, bias_H, weight_HP, bias_P)


def _steps(rows: int) -> int:
    return max(FEWEST_STEPS, EPOCHS * math.ceil(rows / BATCH))


def _batches(rows: int, steps: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield the rows of every step: all rows in a new order, in parts of almost equal size, again and again."""
    left = steps
    while left:
        parts = np.array_split(rng.permutation(rows), math.ceil(rows / BATCH))[:left]
        left -= len(parts)
        yield from parts


def _layers(flat: Array, features: int, width: int, classes: int) -> tuple[Array, Array, Array, Array]:
    """Return weight_DH, bias_H, weight_HP and bias_P, which share the memory of one vector."""
    ends = np.cumsum([features * width, width, width * classes])
    weight, bias, weight_out, bias_out = np.split(flat, ends)
    return weight.reshape(features, width), bias, weight_out.reshape(width, classes), bias_out


def _hidden(feature_BD: Array, weight_DH: Array, bias_H: Array) -> Array:
    found: Array = np.maximum(feature_BD @ weight_DH + bias_H, 0)
    return found


def penalised_loss(
    layers: tuple[Array, Array, Array, Array], feature_BD: Array, place_B: Ints, share_B: Array, strength: float
) -> tuple[float, tuple[Array, Array, Array, Array]]:
    """Return the loss of some rows, see `fit_hidden`, and its gradient with respect to each of the layers.

    layers   weight_DH, bias_H, weight_HP, bias_P. place_B: the place of each row's class among P.
    share_B  the weight of each row; the loss is the sum of weighted cross-entropies divided by B.
    """
    weight_DH, bias_H, weight_HP, bias_P = layers
    hidden_BH = _hidden(feature_BD, weight_DH, bias_H)
    logit_BP = hidden_BH @ weight_HP + bias_P
    logit_BP -= logit_BP.max(axis=1, keepdims=True)
    prob_BP = np.exp(logit_BP)
    sum_B, rows = prob_BP.sum(axis=1), np.arange(len(place_B))
    squares = float((weight_DH * weight_DH).sum() + (weight_HP * weight_HP).sum())
    value = float(share_B @ (np.log(sum_B) - logit_BP[rows, place_B])) / len(rows) + 0.5 * strength * squares
    slope_BP = prob_BP / sum_B[:, None]
    slope_BP[rows, place_B] -= 1
    slope_BP *= share_B[:, None] / len(rows)
    slope_BH = (slope_BP @ weight_HP.T) * (hidden_BH > 0)
    return value, (
        feature_BD.T @ slope_BH + strength * weight_DH,
        slope_BH.sum(axis=0),
        hidden_BH.T @ slope_BP + strength * weight_HP,
        slope_BP.sum(axis=0),
    )
