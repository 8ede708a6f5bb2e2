"""Bias-corrected temperature scaling: a temperature and one number per class, fitted before class shares are estimated.

N rows, C classes of one task, J joint classes.

Reference: Alexandari, Kundaje and Shrikumar 2020, "Maximum Likelihood with Bias-Corrected Calibration is
Hard-To-Beat at Label Shift Adaptation", arXiv:1901.06852. A temperature alone leaves the mean probability of a class
different from its share; expectation maximisation then takes this difference for a shift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.decisions.calibration import HIGHEST, LOWEST, Probabilities, log_rows, scaled
from maskcls.results.scores.metrics import Doubles

MOST_BIAS = 8.0  # nats either way; a class without a row would have none


@dataclass(frozen=True)
class BiasCorrection:
    """The change of one task's probabilities: to the power 1 / temperature, times exp(bias) (C,), summing to 1."""

    temperature: float
    bias: tuple[float, ...]

    def rows(self, prob_NC: Probabilities) -> Doubles:
        """Return the corrected rows (N, C)."""
        return _softmax(log_rows(prob_NC) / self.temperature + np.asarray(self.bias))


def fit_bias_correction(prob_NC: Probabilities, true_N: Ints) -> BiasCorrection:
    """Return the temperature and the biases with the lowest log loss; the biases sum to 0.

    Where no bound is reached, the mean of the corrected rows is exactly the share of each class.

    prob_NC  (N, C) float, rows sum to 1, of rows the network was not trained on.
    true_N   (N,) int, 0..C-1, or -1 for a row to leave out; ValueError when all are.
    """
    from scipy.optimize import minimize

    known_N = np.asarray(true_N) != UNKNOWN
    logs_NC, true_N = log_rows(prob_NC)[known_N], np.asarray(true_N)[known_N]
    if not len(true_N):
        raise ValueError("no row has a known truth")
    rows, classes = logs_NC.shape
    hot_NC = np.eye(classes)[true_N]

    def loss(numbers: Doubles) -> tuple[float, Doubles]:
        changed_NC = numbers[0] * logs_NC + numbers[1:]
        prob = _softmax(changed_NC)
        error_NC = (prob - hot_NC) / rows
        value = float(-np.log(np.maximum(prob[np.arange(rows), true_N], 1e-300)).mean())
        return value, np.append((error_NC * logs_NC).sum(), error_NC.sum(axis=0))

    bounds = [(1 / HIGHEST, 1 / LOWEST), *[(-MOST_BIAS, MOST_BIAS)] * classes]
    options = {"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(
        loss, np.append(1.0, np.zeros(classes)), jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    bias_C = found.x[1:] - found.x[1:].mean()
    return BiasCorrection(float(1 / found.x[0]), tuple(bias_C.tolist()))


def bias_corrected(prob_NJ: Probabilities, corrections: Mapping[str, BiasCorrection], space: LabelSpace) -> Floats:
    """Return joint rows (N, J) float32 with every task's marginal corrected; {}: the rows as they are.

    Exact where the tasks are independent, as in the product of several heads; else the biases are multiplied into the
    joint classes.
    """
    if not corrections:
        return np.asarray(prob_NJ, dtype=np.float32)
    rows_NJ = scaled(prob_NJ, {name: corrections[name].temperature for name in space.names}, space)
    part_of = space.decode(np.arange(space.size))
    bias_J = np.sum([np.asarray(corrections[name].bias)[part_of[name]] for name in space.names], axis=0)
    return _softmax(log_rows(rows_NJ) + bias_J).astype(np.float32)


def _softmax(logs_NC: Doubles) -> Doubles:
    odds_NC = np.exp(logs_NC - logs_NC.max(axis=1, keepdims=True))
    prob_NC: Doubles = odds_NC / odds_NC.sum(axis=1, keepdims=True)
    return prob_NC
