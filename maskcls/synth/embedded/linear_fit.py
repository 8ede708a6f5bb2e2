"""Linear heads on fixed features: multinomial logistic regression, one per task, in the scale of the features.

N rows, D features, C classes of a task, P of them present, J joint classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskcls.errors import DataError
from maskcls.labels import Floats, Ints, LabelSpace

Wide = NDArray[np.float64]

STRENGTH = 1e-3  # of the penalty where nothing else is asked for; 1 / (C * N) of scikit-learn
MOST_STEPS = 5_000
# Of the gradient in the scaled directions, at which the fit ends. Real features have single huge values: with 1,280 of
# 4,480 photos it takes 150 to 190 steps, and the loss is within 4e-6 of the lowest.
TOLERANCE = 2e-5
CONVERGED = 1e-4  # the largest such gradient of a fit that ended because the loss no longer falls in double precision
CURVATURE = 0.25  # of the cross-entropy along a logit, as guessed for the scaling; at most 1 / 2 (Boehning 1992)
BELOW = 30.0  # logit of a class without rows, below the mean bias of the others


@dataclass(frozen=True)
class FittedHead:
    """A linear layer: logits (N, C) are feature_ND @ weight_CD.T + bias_C. Both are float32."""

    weight_CD: Floats
    bias_C: Floats


def fit_heads(
    feature_ND: Floats,
    labels: Mapping[str, Ints],
    weight_N: Floats,
    space: LabelSpace,
    *,
    strength: float,
    balanced: bool,
) -> dict[str, FittedHead]:
    """Fit one multinomial logistic regression per task on standardised features, and return them for the features.

    Minimised is the weighted mean of the cross-entropy plus strength / 2 times the sum of the squared weights of
    standardised features; biases are not penalised. Rows with an unknown label of a task (-1) or of weight 0 are left
    out of its head. A class without rows gets a probability below 1e-12. The result is a function of the arguments
    alone.

    feature_ND  float, finite.
    labels      {task: (N,) int64}, every task of the space; -1 = unknown.
    weight_N    float, not negative: the weight of each row.
    strength    above 0.
    balanced    scale the weights so that every class of a task has the same sum (King and Zeng 2001).

    Raises DataError for a task without a labelled row.
    """
    assert strength > 0
    assert np.isfinite(feature_ND).all()
    assert (np.asarray(weight_N) >= 0).all()
    heads: dict[str, FittedHead] = {}
    scaled: dict[bytes, _Scaled] = {}  # by the rows: those of several tasks are usually the same
    for task in space.tasks:
        rows = np.flatnonzero((labels[task.name] >= 0) & (np.asarray(weight_N) > 0))
        if not len(rows):
            raise DataError(
                "a head cannot be fitted: no training row has a label of this task",
                where=task.name,
                fix="label some photos, or leave the task out of `tasks`",
            )
        key = rows.tobytes()
        if key not in scaled:
            scaled[key] = _scaled(np.asarray(feature_ND, dtype=np.float64)[rows], strength)
        share_n = row_shares(labels[task.name][rows], np.asarray(weight_N, dtype=np.float64)[rows], balanced=balanced)
        heads[task.name] = _fit(scaled[key], labels[task.name][rows], share_n, len(task.classes), strength)
    return heads


def row_shares(label_N: Ints, weight_N: Wide, *, balanced: bool) -> Wide:
    """Return each row's share (N,) float64 of the loss; they sum to 1.

    balanced  every class that occurs has the same sum of shares.

    >>> row_shares(np.array([0, 0, 2]), np.ones(3), balanced=True).tolist()
    [0.25, 0.25, 0.5]
    """
    share_N = weight_N.astype(np.float64)
    if balanced:
        sum_C = np.bincount(label_N, weights=share_N)
        share_N = share_N / sum_C[label_N]
    return np.asarray(share_N / share_N.sum())


@dataclass(frozen=True)
class _Scaled:
    """Standardised features, and the same in directions and scales in which the loss is about equally curved.

    standard_ND    features with mean 0 and standard deviation 1: (features - mean_D) / deviation_D.
    direction_DD   columns: the directions; scale_D: what each is divided by. 1 / scale_D of the weights are fitted.
    """

    standard_ND: Wide
    mean_D: Wide
    deviation_D: Wide
    direction_DD: Wide
    scale_D: Wide


def _scaled(feature_ND: Wide, strength: float) -> _Scaled:
    mean_D, deviation_D = feature_ND.mean(axis=0), feature_ND.std(axis=0)
    # A feature that does not vary says nothing: standardised it is 0 in every row, and its weight stays 0.
    deviation_D = np.where(deviation_D > 1e-12 * np.maximum(1, np.abs(mean_D)), deviation_D, np.inf)
    standard_ND = (feature_ND - mean_D) / deviation_D
    variance_D, direction_DD = np.linalg.eigh(standard_ND.T @ standard_ND / len(standard_ND))
    scale_D = np.sqrt(CURVATURE * np.maximum(variance_D, 0) + strength)
    return _Scaled(standard_ND, mean_D, deviation_D, direction_DD, scale_D)


def _fit(scaled: _Scaled, label_N: Ints, share_N: Wide, classes: int, strength: float) -> FittedHead:
    from scipy.optimize import minimize  # a second to import

    features = scaled.standard_ND.shape[1]
    present, index_N = np.unique(label_N, return_inverse=True)
    weight_CD, bias_C = np.zeros((classes, features)), np.full(classes, -BELOW)
    if len(present) == 1:
        bias_C[present] = 0
        return FittedHead(weight_CD.astype(np.float32), bias_C.astype(np.float32))
    # Features of a network are so correlated that L-BFGS takes thousands of steps with them, and hundreds with these.
    turned_ND = scaled.standard_ND @ scaled.direction_DD / scaled.scale_D
    penalty_D = strength / scaled.scale_D**2

    def loss(flat: Wide) -> tuple[float, Wide]:
        turned_PD, bias_P = flat[: -len(present)].reshape(len(present), features), flat[-len(present) :]
        value, slope_PD, slope_P = _cross_entropy(turned_ND, index_N, share_N, turned_PD, bias_P)
        value += 0.5 * float((penalty_D * turned_PD**2).sum())
        return value, np.concatenate([(slope_PD + penalty_D * turned_PD).reshape(-1), slope_P])

    options = {"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "gtol": TOLERANCE, "ftol": 0.0, "maxcor": 20}
    start = np.zeros(len(present) * (features + 1))
    ended = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    found: Wide = ended.x
    bias_P = found[-len(present) :]
    turned_PD = found[: -len(present)].reshape(len(present), features)
    weight_PD = (turned_PD / scaled.scale_D) @ scaled.direction_DD.T
    largest = float(np.abs(ended.jac).max())
    assert largest < CONVERGED, f"the fit of a head has not converged: gradient {largest:.1e}"
    weight_CD[present] = weight_PD / scaled.deviation_D
    bias_C[present] = bias_P - weight_CD[present] @ scaled.mean_D
    bias_C[np.setdiff1d(np.arange(classes), present)] = bias_P.mean() - BELOW
    return FittedHead(weight_CD.astype(np.float32), bias_C.astype(np.float32))


def _cross_entropy(
    feature_ND: Wide, label_N: Ints, share_N: Wide, weight_CD: Wide, bias_C: Wide
) -> tuple[float, Wide, Wide]:
    """Return the mean by shares, and its gradient with respect to weights (C, D) and biases (C,)."""
    logit_NC = feature_ND @ weight_CD.T + bias_C
    logit_NC -= logit_NC.max(axis=1, keepdims=True)
    prob_NC = np.exp(logit_NC)
    sum_N = prob_NC.sum(axis=1)
    rows = np.arange(len(label_N))
    value = float(share_N @ (np.log(sum_N) - logit_NC[rows, label_N]))
    prob_NC /= sum_N[:, None]
    prob_NC[rows, label_N] -= 1
    prob_NC *= share_N[:, None]
    return value, prob_NC.T @ feature_ND, prob_NC.sum(axis=0)


def head_probabilities(heads: Mapping[str, FittedHead], feature_ND: Floats, space: LabelSpace) -> Floats:
    """Return joint probabilities (N, J) float32, the product of the tasks' softmaxes; rows sum to 1."""
    prob = {}
    for name in space.names:
        head = heads[name]
        logit_NC = feature_ND.astype(np.float64) @ head.weight_CD.T.astype(np.float64) + head.bias_C
        prob_NC = np.exp(logit_NC - logit_NC.max(axis=1, keepdims=True))
        prob[name] = prob_NC / prob_NC.sum(axis=1, keepdims=True)
    return space.compose(prob)
