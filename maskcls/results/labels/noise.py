"""How probable it is that a given label is wrong: a mixture of right and wrong labels, fitted to all labels of a task.

U labels (of photos or of people), C classes. A label is right with probability 1 - share; else it is any other class,
all equally probable. The temperature of the probabilities and the share of wrong labels are fitted together. A
temperature alone would make all probabilities softer because of a few wrong labels, and so hide them.

Reference for classes noisy at random and counted from out-of-fold probabilities: Northcutt et al. 2021, Journal of
Artificial Intelligence Research 70 (confident learning), as implemented in cleanlab.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from maskcls.labels import Bools, Ints
from maskcls.results.decisions.calibration import Probabilities, scaled_rows
from maskcls.results.scores.metrics import Doubles

# As if one of FEW labels had been seen to be wrong before: keeps the share above 0 for tasks without a fault.
FEW = 50
LOWEST_T, HIGHEST_T = 0.05, 20.0  # as in calibration
LEAST = 1e-6  # a pooled probability is not believed to be lower


@dataclass(frozen=True)
class Noise:
    """What was fitted: the temperature of the probabilities, and the share of wrong labels in (0, 1)."""

    temperature: float
    share: float

    def scaled(self, prob_UC: Probabilities) -> Doubles:
        """Return the probabilities (U, C) at this temperature, none below 1e-6 by more than rounding."""
        prob = np.maximum(scaled_rows(prob_UC, self.temperature), LEAST)
        scaled: Doubles = prob / prob.sum(axis=1, keepdims=True)
        return scaled


def fit_noise(prob_UC: Probabilities, given_U: Ints, fault_UC: Bools) -> Noise:
    """Fit temperature and share by maximum likelihood, with a weak prior on the share.

    prob_UC   (U, C) float, rows sum to 1, of networks that were not trained on the label; U >= 1, C >= 2.
    given_U   (U,) int, 0..C-1.
    fault_UC  (U, C) which classes would make the given label a fault; never the given one. The probability of the
              others counts as agreement.
    """
    from scipy.optimize import minimize

    def loss(point: Doubles) -> float:
        noise = Noise(math.exp(point[0]), 1 / (1 + math.exp(-point[1])))
        right_U, wrong_U = _parts(noise, prob_UC, fault_UC)
        prior = math.log(noise.share) + FEW * math.log1p(-noise.share)
        return -float(np.log(right_U + wrong_U).sum()) - prior

    bounds = [(math.log(LOWEST_T), math.log(HIGHEST_T)), (-14.0, 0.0)]  # a share from one in a million to a half
    options = {"xatol": 1e-4, "fatol": 1e-6, "maxiter": 1000}
    starts = [np.array([0.0, share]) for share in (-5.0, -2.0)]
    found = min((minimize(loss, x, method="Nelder-Mead", bounds=bounds, options=options) for x in starts), key=_value)
    return Noise(math.exp(found.x[0]), 1 / (1 + math.exp(-found.x[1])))


def suspicion(noise: Noise, prob_UC: Probabilities, fault_UC: Bools) -> Doubles:
    """Return the probability (U,) that the given label is wrong, in [0, 1].

    >>> even = Noise(1.0, 0.5)  # as many wrong labels as right ones: the probability of the other class itself
    >>> suspicion(even, np.array([[0.9, 0.1]]), np.array([[True, False]])).round(3).tolist()
    [0.9]
    """
    right_U, wrong_U = _parts(noise, prob_UC, fault_UC)
    doubt_U: Doubles = wrong_U / (right_U + wrong_U)
    return doubt_U


def agreed_issues(prob_UC: Probabilities, given_U: Ints, fault_UC: Bools) -> Bools:
    """Return (U,) the labels that confident learning finds too: cleanlab's off-diagonal of the confident joint."""
    from cleanlab.filter import find_label_issues

    prob_UC = np.asarray(prob_UC, dtype=np.float64)
    found_U = find_label_issues(given_U, prob_UC, filter_by="confident_learning", n_jobs=1)
    best_U = prob_UC.argmax(axis=1)
    return np.asarray(found_U & fault_UC[np.arange(len(given_U)), best_U])


def _parts(noise: Noise, prob_UC: Probabilities, fault_UC: Bools) -> tuple[Doubles, Doubles]:
    """Return the likelihood (U,) of each label with a right one, and with a wrong one."""
    prob = noise.scaled(prob_UC)
    fault_U = (prob * fault_UC).sum(axis=1)
    return (1 - noise.share) * (1 - fault_U), noise.share / (prob.shape[1] - 1) * fault_U


def _value(found: object) -> float:
    return float(found.fun)  # type: ignore[attr-defined]
