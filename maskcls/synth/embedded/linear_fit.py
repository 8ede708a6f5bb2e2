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
MOST_STEPS = 20_000
TOLERANCE = 1e-7  # of the gradient of the mean loss, at which the fit ends
CONVERGED = 1e-4  # the largest gradient of a fit that ended because the loss no longer falls in double precision
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
    wide_ND, heads = np.asarray(feature_ND, dtype=np.float64), {}
    for task in space.tasks:
        rows = np.flatnonzero((labels[task.name] >= 0) & (np.asarray(weight_N) > 0))
        if not len(rows):
            raise DataError(
                "a head cannot be fitted: no training row has a label of this task",
                where=task.name,
                fix="label some photos, or leave the task out of `tasks`",
            )
        label_n, weight_n = labels[task.name][rows], np.asarray(weight_N, dtype=np.float64)[rows]
        heads[task.name] = _fit(
            wide_ND[rows], label_n, row_shares(label_n, weight_n, balanced=balanced), len(task.classes), strength
        )
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


def loss_gradient(
    feature_ND: Wide, label_N: Ints, share_N: Wide, weight_CD: Wide, bias_C: Wide, strength: float
) -> tuple[Wide, Wide]:
    """Return the gradient of the minimised loss with respect to weights (C, D) and biases (C,), in double precision."""
    logit_NC = feature_ND @ weight_CD.T + bias_C
    prob_NC = np.exp(logit_NC - logit_NC.max(axis=1, keepdims=True))
    prob_NC /= prob_NC.sum(axis=1, keepdims=True)
    prob_NC[np.arange(len(label_N)), label_N] -= 1
    prob_NC *= share_N[:, None]
    return prob_NC.T @ feature_ND + strength * weight_CD, prob_NC.sum(axis=0)


def _fit(feature_ND: Wide, label_N: Ints, share_N: Wide, classes: int, strength: float) -> FittedHead:
    from sklearn.linear_model import LogisticRegression  # seconds to import

    mean_D, deviation_D = feature_ND.mean(axis=0), feature_ND.std(axis=0)
    # A feature that does not vary says nothing: standardised it is 0 in every row, and its weight stays 0.
    deviation_D = np.where(deviation_D > 1e-12 * np.maximum(1, np.abs(mean_D)), deviation_D, np.inf)
    present, index_N = np.unique(label_N, return_inverse=True)
    weight_CD, bias_C = np.zeros((classes, feature_ND.shape[1])), np.full(classes, -BELOW)
    if len(present) == 1:
        bias_C[present] = 0
        return FittedHead(weight_CD.astype(np.float32), bias_C.astype(np.float32))
    standard_ND = (feature_ND - mean_D) / deviation_D
    # sum(share) is 1, so that C is 1 / strength whatever the number of rows. With two classes scikit-learn has one row
    # of weights w in place of -w / 2 and w / 2, whose squares sum to half of its square.
    model = LogisticRegression(C=(2 if len(present) == 2 else 1) / strength, tol=TOLERANCE, max_iter=MOST_STEPS)
    model.fit(standard_ND, index_N, sample_weight=share_N)
    weight_PD, bias_P = _both_sides(model.coef_, model.intercept_)
    slopes = loss_gradient(standard_ND, index_N, share_N, weight_PD, bias_P, strength)
    largest = max(float(np.abs(slope).max()) for slope in slopes)
    assert largest < CONVERGED, f"the fit of a head has not converged: gradient {largest:.1e}"
    weight_CD[present] = weight_PD / deviation_D
    bias_C[present] = bias_P - weight_CD[present] @ mean_D
    bias_C[np.setdiff1d(np.arange(classes), present)] = bias_P.mean() - BELOW
    return FittedHead(weight_CD.astype(np.float32), bias_C.astype(np.float32))


def _both_sides(weight_PD: Wide, bias_P: Wide) -> tuple[Wide, Wide]:
    """Return one row per class: with two classes scikit-learn has one, the logit of the second against the first."""
    if len(weight_PD) > 1:
        return weight_PD, bias_P
    return np.concatenate([-weight_PD, weight_PD]) / 2, np.concatenate([-bias_P, bias_P]) / 2


def head_probabilities(heads: Mapping[str, FittedHead], feature_ND: Floats, space: LabelSpace) -> Floats:
    """Return joint probabilities (N, J) float32, the product of the tasks' softmaxes; rows sum to 1."""
    prob = {}
    for name in space.names:
        head = heads[name]
        logit_NC = feature_ND.astype(np.float64) @ head.weight_CD.T.astype(np.float64) + head.bias_C
        prob_NC = np.exp(logit_NC - logit_NC.max(axis=1, keepdims=True))
        prob[name] = prob_NC / prob_NC.sum(axis=1, keepdims=True)
    return space.compose(prob)
