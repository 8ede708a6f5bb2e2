"""Linear heads on fixed features: multinomial logistic regression, one per task, in the scale of the features.

N rows, D features, C classes of a task, P of them present, J joint classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from maskcls.errors import DataError
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.nn.fitting.fitted_head import FittedHead, Wide, WideHead
from maskcls.nn.fitting.head_rows import balanced_weights
from maskcls.nn.fitting.standardised import Standardised, standardised

STRENGTH = 1e-3  # of the penalty where nothing else is asked for; 1 / (C * N) of scikit-learn
MOST_STEPS = 5_000
# Of the gradient in the scaled directions, at which the fit ends. Real features have single huge values: with 1,280 of
# 4,480 photos it takes 150 to 190 steps, and the loss is within 4e-6 of the lowest.
TOLERANCE = 2e-5
CONVERGED = 1e-4  # the largest such gradient of a fit that ended because the loss no longer falls in double precision
CURVATURE = 0.25  # of the cross-entropy along a logit, as guessed for the scaling; at most 1 / 2 (Boehning 1992)


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
    # By the rows: those of several tasks are usually the same.
    known: dict[bytes, tuple[Standardised, CurvedFeatures]] = {}
    for task in space.tasks:
        rows = np.flatnonzero((labels[task.name] >= 0) & (np.asarray(weight_N) > 0))
        if not len(rows):
            raise DataError(
                "a head cannot be fitted: no training row has a label of this task",
                where=task.name,
                fix="label some photos, or leave the task out of `tasks`",
            )
        key = rows.tobytes()
        if key not in known:
            standard = standardised(np.asarray(feature_ND, dtype=np.float64)[rows])
            known[key] = standard, curved(standard.feature_ND, strength)
        standard, features = known[key]
        weight_n = np.asarray(weight_N, dtype=np.float64)[rows]
        share_n = balanced_weights(labels[task.name][rows], weight_n, float(balanced)) / len(rows)
        head = fit_logistic(features, labels[task.name][rows], share_n, strength)
        heads[task.name] = head.for_raw(standard.mean_D, standard.deviation_D, len(task.classes))
    return heads


@dataclass(frozen=True)
class CurvedFeatures:
    """Standardised features in directions and scales in which the loss is about equally curved.

    turned_ND     standardised features @ direction_DD / scale_D.
    direction_DD  columns: the directions; scale_D: what each is divided by. 1 / scale_D of the weights are fitted.
    """

    turned_ND: Wide
    direction_DD: Wide
    scale_D: Wide

    def at(self, rows: Ints) -> CurvedFeatures:
        """Return some of the rows, in the same directions."""
        return CurvedFeatures(self.turned_ND[rows], self.direction_DD, self.scale_D)


def curved(standard_ND: Wide, strength: float) -> CurvedFeatures:
    """Return the directions and scales of standardised features for a penalty of about this strength."""
    variance_D, direction_DD = np.linalg.eigh(standard_ND.T @ standard_ND / len(standard_ND))
    scale_D = np.sqrt(CURVATURE * np.maximum(variance_D, 0) + strength)
    return CurvedFeatures(standard_ND @ direction_DD / scale_D, direction_DD, scale_D)


def fit_logistic(
    features: CurvedFeatures,
    label_N: Ints,
    share_N: Wide,
    strength: float,
    *,
    start: WideHead | None = None,
    tolerance: float = TOLERANCE,
) -> WideHead:
    """Return the head of standardised features with the lowest loss, see `fit_heads`.

    features   of the rows. strength: those that `curved` got, or about.
    share_N    the share of each row in the loss; they sum to 1.
    start      a head of the same rows, where the fit begins; None: at 0.
    tolerance  of the gradient, at which it ends.
    """
    from scipy.optimize import minimize  # a second to import

    width = features.turned_ND.shape[1]
    present, index_N = np.unique(label_N, return_inverse=True)
    if len(present) == 1:
        return WideHead(present, np.zeros((1, width)), np.zeros(1))
    # Features of a network are so correlated that L-BFGS takes thousands of steps with them, and hundreds with these.
    turned_ND = features.turned_ND
    penalty_D = strength / features.scale_D**2

    def loss(flat: Wide) -> tuple[float, Wide]:
        turned_PD, bias_P = flat[: -len(present)].reshape(len(present), width), flat[-len(present) :]
        value, slope_PD, slope_P = _cross_entropy(turned_ND, index_N, share_N, turned_PD, bias_P)
        value += 0.5 * float((penalty_D * turned_PD**2).sum())
        return value, np.concatenate([(slope_PD + penalty_D * turned_PD).reshape(-1), slope_P])

    options = {"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "gtol": tolerance, "ftol": 0.0, "maxcor": 20}
    begin = np.zeros(len(present) * (width + 1))
    if start is not None:
        begin = np.concatenate([(start.weight_PD @ features.direction_DD * features.scale_D).reshape(-1), start.bias_P])
    ended = minimize(loss, begin, jac=True, method="L-BFGS-B", options=options)
    found: Wide = ended.x
    largest = float(np.abs(ended.jac).max())
    assert largest < max(CONVERGED, tolerance), f"the fit of a head has not converged: gradient {largest:.1e}"
    turned_PD = found[: -len(present)].reshape(len(present), width)
    return WideHead(present, (turned_PD / features.scale_D) @ features.direction_DD.T, found[-len(present) :])


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
