"""Class shares of photos without labels, estimated from a network's probabilities by expectation maximisation.

N photos, C classes, G groups (people, or what was grouped as such), B resamples.

Reference: Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori
probabilities", Neural Computation 14. It assumes that a class looks the same in both parts, and that the probabilities
are calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.scores.person_bootstrap import resamples

DRAWS = 200
LEVEL = 0.99
MOST_ROUNDS = 500
CHANGE = 1e-6  # of a share, at which a round is the last one

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class ClassShareEstimate:
    """The estimated share of a class among the photos to predict, with its 99 % interval, beside the known one.

    known        share among the labelled photos.
    known_low    99 % interval of that over people, as for a set as large as the labelled one; known_high: its end.
    """

    task: str
    label: str
    known: float
    known_low: float
    known_high: float
    share: float
    low: float
    high: float

    @property
    def differs(self) -> bool:
        """Whether the two intervals do not meet."""
        return self.low > self.known_high or self.high < self.known_low

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"differs": self.differs}


def em_shares(prob_NC: NDArray[Any], prior_C: NDArray[Any], weight_N: NDArray[Any] | None = None) -> Doubles:
    """Return the class shares (C,) of the photos, by EM.

    prob_NC   (N, C) float, probabilities in [0, 1], each row sums to 1.
    prior_C   (C,) float, the shares that the probabilities assume: those of the training rows.
    weight_N  (N,) float, how often each photo counts; default: once.

    >>> em_shares(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0.5, 0.5])).round(3).tolist()
    [0.667, 0.333]
    """
    weight_N = np.ones(len(prob_NC)) if weight_N is None else np.asarray(weight_N, np.float64)
    ratio_NC = np.asarray(prob_NC, np.float64) / np.maximum(np.asarray(prior_C, np.float64), 1e-9)
    share_C = np.asarray(prior_C, np.float64)
    for _ in range(MOST_ROUNDS):
        joint_NC = ratio_NC * share_C
        joint_NC /= np.maximum(joint_NC.sum(axis=1, keepdims=True), 1e-300)
        before, share_C = share_C, weight_N @ joint_NC / weight_N.sum()
        if np.abs(share_C - before).max() < CHANGE:
            break
    return share_C


def estimate_shares(
    task: str,
    classes: Sequence[str],
    prob_NC: NDArray[Any],
    group_N: Ints,
    known_M: Ints,
    known_group_M: Ints,
    *,
    seed: int,
) -> tuple[ClassShareEstimate, ...]:
    """Estimate the class shares of N photos beside those of M labelled ones; intervals by drawing groups of photos.

    prob_NC        (N, C) probabilities of the photos to predict.
    group_N        (N,) int64, the group (person) of each of them.
    known_M        (M,) int64, the classes of the labelled photos, all known; known_group_M: their people.
    """
    known_MC = np.eye(len(classes))[known_M]
    prior_C = known_MC.mean(axis=0)
    share_C = em_shares(prob_NC, prior_C)
    drawn_BC = np.stack([em_shares(prob_NC, prior_C, w_N) for w_N in _draws(group_N, seed)])
    known_BC = np.stack([w_M @ known_MC / w_M.sum() for w_M in _draws(known_group_M, seed + 1)])
    low_C, high_C = np.quantile(drawn_BC, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    known_low_C, known_high_C = np.quantile(known_BC, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0)
    columns = (prior_C, known_low_C, known_high_C, share_C, low_C, high_C)
    rows = zip(classes, *(one.tolist() for one in columns), strict=True)
    return tuple(ClassShareEstimate(task, *row) for row in rows)


def _draws(group_N: Ints, seed: int) -> list[Doubles]:
    """Return how often each photo counts, in each of DRAWS draws of groups with replacement."""
    who_N = np.unique(group_N, return_inverse=True)[1]
    pieces = resamples(int(who_N.max()) + 1, DRAWS, seed)
    return [weight_G[who_N] for piece in pieces for weight_G in piece]
