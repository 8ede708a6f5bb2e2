"""Average predictions within groups of photos of one person, in the tasks that do not vary within a person.

N rows, J joint classes, G joint classes of the shared tasks (the same on all photos of a person, such as gender and
age), V joint classes of the others (such as mask). A group is a set of photos that are taken to show one person; here
it is a number per row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.errors import DataError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.crossfit import cross_fit
from maskcls.results.decisions.calibration import TINY
from maskcls.results.predictions import Predictions
from maskcls.results.scores.metrics import Doubles

MAX_WEIGHT = 30.0  # relative to a photo of the first class; larger weights would rest on few people

PhotoWeights = Mapping[str, float]  # {joint class of the tasks that vary within a person: weight in the mean}


def split_groups(group_N: Ints, part_N: Ints) -> Ints:
    """Split groups so that no group has rows of two parts, such as folds; (N,) int64, 0 and up.

    Otherwise the prediction of an out-of-fold row would be averaged with predictions of another fold's network, which
    was trained on the row's person.

    >>> split_groups(np.array([0, 0, 0, 1]), np.array([2, 4, 2, 4])).tolist()
    [0, 1, 0, 2]
    """
    return np.unique(np.stack([group_N, part_N]), axis=1, return_inverse=True)[1].astype(np.int64)


def average_groups(
    predictions: Predictions, group_N: Ints, tasks: Sequence[str], *, weights: PhotoWeights | None = None
) -> Predictions:
    """Replace the probabilities of the shared tasks by their weighted mean over each group.

    The mean is taken of the shared tasks' joint probabilities, so the dependence between gender and age is kept. The
    other tasks keep each row's own marginal, and the two are multiplied as if independent. A row that is alone in its
    group does not change.

    group_N  (N,) int, 0 and up, in the order of the predictions.
    tasks    the shared ones, at least one.
    weights  {joint class of the other tasks: weight of such a photo in the mean}; a photo's weight is the mean of these
             over its probabilities. None = all photos have equal weight.

    The lineage keeps the tasks, the number of groups and the weights. Raises ValueError for an unknown task or groups
    of another length, DataError for weights of other classes.
    """
    space, group_N = predictions.space, checked_groups(group_N, len(predictions))
    grid_NVG, back = _laid_out(predictions.prob, space, tasks)
    weight_V = _class_weights(weights, space, tasks)
    own_NV = grid_NVG.sum(axis=2)
    mean_NG = _group_means(grid_NVG.sum(axis=1), own_NV @ weight_V, group_N)
    joint_NJ = back(own_NV[:, :, np.newaxis] * mean_NG[:, np.newaxis])
    alone_N = np.bincount(group_N)[group_N] == 1
    prob_NJ = np.where(alone_N[:, np.newaxis], predictions.prob, joint_NJ)
    lineage = {
        "smoothed": predictions.lineage,
        "tasks": list(tasks),
        "groups": len(np.unique(group_N)),
        "weights": weights and dict(weights),
    }
    return Predictions(predictions.ids, prob_NJ, space, lineage)


def fit_photo_weights(
    prob_NJ: NDArray[Any], truth: Mapping[str, Ints], group_N: Ints, space: LabelSpace, tasks: Sequence[str]
) -> PhotoWeights:
    """Fit the weight of a photo in its group's mean by its class in the other tasks, such as the mask.

    A face without a mask shows more of the person's age. The weights minimise the log loss of the groups' means; the
    first class has weight 1, the others lie in 1/30..30.

    prob_NJ  (N, J) float, out-of-fold rows.
    truth    {task: (N,) int}, at least the shared tasks; rows where one of them is -1 (unknown) are in the means only.
    group_N, tasks  as for `average_groups`.

    Returns 1 for every class when no row has known labels.
    """
    from scipy.optimize import minimize

    group_N, names = checked_groups(group_N, len(prob_NJ)), _others(space, tasks).joint_names
    grid_NVG, _ = _laid_out(prob_NJ, space, tasks)
    own_NV, share_NG = grid_NVG.sum(axis=2), grid_NVG.sum(axis=1)
    true_N = space.only(tasks).encode({name: truth[name] for name in tasks})
    rows = np.flatnonzero(true_N != UNKNOWN)
    if not len(rows) or len(names) == 1:
        return dict.fromkeys(names, 1.0)

    def loss(log_weight: Doubles) -> float:
        weight_V = np.exp(np.concatenate([[0.0], log_weight]))
        mean_NG = _group_means(share_NG, own_NV @ weight_V, group_N)
        return float(-np.log(mean_NG[rows, true_N[rows]]).mean())

    limit = float(np.log(MAX_WEIGHT))
    found = minimize(loss, np.zeros(len(names) - 1), method="L-BFGS-B", bounds=[(-limit, limit)] * (len(names) - 1))
    return dict(zip(names, [1.0, *np.exp(found.x).tolist()], strict=True))


def cross_fit_averages(
    predictions: Predictions, truth: Mapping[str, Ints], group_N: Ints, part_N: Ints, tasks: Sequence[str]
) -> Predictions:
    """Average out-of-fold rows within groups, with weights that were fitted on the other parts' people.

    truth    {task: (N,) int}, -1 = unknown; part_N: as for `cross_fit`.
    group_N, tasks  as for `average_groups`.
    """

    def fit(rows: Ints) -> PhotoWeights:
        known = {name: label_N[rows] for name, label_N in truth.items()}
        return fit_photo_weights(predictions.prob[rows], known, group_N[rows], predictions.space, tasks)

    def apply(weights: PhotoWeights, rows: Ints) -> Floats:
        return average_groups(predictions, group_N, tasks, weights=weights).prob[rows]

    return Predictions(predictions.ids, cross_fit(part_N, fit, apply), predictions.space, predictions.lineage)


def checked_groups(group_N: Ints, rows: int) -> Ints:
    """Return group numbers as (N,) int64; ValueError unless there is one whole number from 0 per row."""
    group_N = np.asarray(group_N)
    if group_N.shape != (rows,) or group_N.dtype.kind not in "iu" or (rows and group_N.min() < 0):
        raise ValueError(f"groups must be {rows} whole numbers of at least 0, got {group_N.dtype} {group_N.shape}")
    return group_N.astype(np.int64)


def _others(space: LabelSpace, tasks: Sequence[str]) -> LabelSpace:
    if not tasks or set(tasks) - set(space.names):
        raise ValueError(f"the shared tasks must be some of {', '.join(space.names)}: {', '.join(tasks)}")
    return space.only([name for name in space.names if name not in tasks])


def _laid_out(prob_NJ: NDArray[Any], space: LabelSpace, tasks: Sequence[str]) -> tuple[Doubles, Any]:
    """Return rows as (N, V, G) float64 above 0 and summing to 1, and the way back to (N, J) float32."""
    others = _others(space, tasks)
    order = [0, *(1 + space.names.index(name) for name in (*others.names, *space.only(tasks).names))]
    wide = np.maximum(np.asarray(prob_NJ, dtype=np.float64), TINY).reshape(-1, *space.shape).transpose(order)
    grid_NVG = np.ascontiguousarray(wide).reshape(len(prob_NJ), others.size, -1)
    grid_NVG /= grid_NVG.sum(axis=(1, 2), keepdims=True)

    def back(grid: Doubles) -> Floats:
        rows: Floats = grid.reshape(wide.shape).transpose(np.argsort(order)).reshape(len(grid), -1).astype(np.float32)
        return rows

    return grid_NVG, back


def _class_weights(weights: PhotoWeights | None, space: LabelSpace, tasks: Sequence[str]) -> Doubles:
    names = _others(space, tasks).joint_names
    if weights is None:
        return np.ones(len(names))
    if set(weights) != set(names):
        raise DataError(
            "the weights are of other classes than the predictions",
            got=", ".join(weights),
            expected=", ".join(names),
            fix="make the groups again with a run of the same tasks",
        )
    return np.array([weights[name] for name in names])


def _group_means(share_NG: Doubles, weight_N: Doubles, group_N: Ints) -> Doubles:
    """Return for each row the weighted mean of its group's rows, (N, G)."""
    total = np.bincount(group_N, weights=weight_N)
    sums_GN = [np.bincount(group_N, weights=weight_N * column) / np.where(total > 0, total, 1) for column in share_NG.T]
    means_NG: Doubles = np.stack(sums_GN, axis=1)[group_N]
    return means_NG
