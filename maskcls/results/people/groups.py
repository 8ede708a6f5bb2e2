"""Photos thought to be of one person answer together in the tasks that do not vary within a person.

N rows, J joint classes, G joint classes of the shared tasks (the same on all photos of a person, such as gender and
age), V joint classes of the others (such as mask). Groups are numbers; where they come from is not known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.csvfile import read_columns
from maskcls.errors import DataError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.crossfit import cross_fit
from maskcls.results.csv_with_origin import TableKind, read_origin, write_csv
from maskcls.results.decisions.calibration import TINY
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import check_same_ids, rows_of
from maskcls.results.scores.metrics import Doubles

GROUPS = TableKind(
    "maskcls groups", "the groups", fix="make the groups again, or move the sidecar away to read the CSV without it"
)
MOST_SAY = 30.0  # times as much as a photo of another class, at most: beyond that few people would decide

Weights = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Groups:
    """What a file of groups says of the rows asked for.

    number_N  (N,) int64, 0 and up; rows of one number are of one person.
    weights   how much a photo says by its class in the other tasks, see `smooth`; None: all photos say as much.
    sha256    of the file, or of the numbers where there is none.
    """

    number_N: Ints
    weights: Weights | None
    sha256: str


def within(group_N: Ints, part_N: Ints) -> Ints:
    """Break groups up so that none has rows of two parts, such as folds; (N,) int64, 0 and up.

    A row must not be smoothed by what a network says that learned from its person, as another fold's network did.

    >>> within(np.array([0, 0, 0, 1]), np.array([2, 4, 2, 4])).tolist()
    [0, 1, 0, 2]
    """
    return np.unique(np.stack([group_N, part_N]), axis=1, return_inverse=True)[1].astype(np.int64)


def smooth(
    predictions: Predictions, group_N: Ints, tasks: Sequence[str], *, weights: Weights | None = None
) -> Predictions:
    """Give all rows of a group the same probabilities in the shared tasks: the mean over the group.

    The mean is that of the shared tasks' joint probabilities, so gender and age stay as dependent as they were. The
    other tasks keep each row's own marginal, and are multiplied with it as if independent: what a mask says about an
    age is then in the mean already. A row alone in its group does not change.

    group_N  (N,) int, 0 and up, in the order of the predictions.
    tasks    the shared ones, at least one.
    weights  {joint class of the other tasks: how much a photo of it counts in the mean}; a photo whose class is not
             sure counts in between. None: all count the same.

    The lineage keeps the tasks, the number of groups and the weights. Raises ValueError for a task that is not known
    or groups of other length, DataError for weights of other classes.
    """
    space, group_N = predictions.space, _checked(group_N, len(predictions))
    grid_NVG, back = _laid_out(predictions.prob, space, tasks)
    say_V = _says(weights, space, tasks)
    own_NV = grid_NVG.sum(axis=2)
    mean_NG = _group_means(grid_NVG.sum(axis=1), own_NV @ say_V, group_N)
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


def fit_weights(
    prob_NJ: NDArray[Any], truth: Mapping[str, Ints], group_N: Ints, space: LabelSpace, tasks: Sequence[str]
) -> Weights:
    """Find how much a photo should say by its class in the other tasks: a face without a mask shows more of its age.

    The weights are those with the lowest log loss of the groups' means; the first class has weight 1, the others lie
    in 1/30..30.

    prob_NJ  (N, J) float, out-of-fold rows.
    truth    {task: (N,) int}, the shared tasks at least; rows where one of them is -1 help to make the means only.
    group_N, tasks  as for `smooth`.

    All weights are 1 when no row is known.
    """
    from scipy.optimize import minimize

    group_N, names = _checked(group_N, len(prob_NJ)), _others(space, tasks).joint_names
    grid_NVG, _ = _laid_out(prob_NJ, space, tasks)
    own_NV, share_NG = grid_NVG.sum(axis=2), grid_NVG.sum(axis=1)
    true_N = space.only(tasks).encode({name: truth[name] for name in tasks})
    rows = np.flatnonzero(true_N != UNKNOWN)
    if not len(rows) or len(names) == 1:
        return dict.fromkeys(names, 1.0)

    def loss(log_weight: Doubles) -> float:
        say_V = np.exp(np.concatenate([[0.0], log_weight]))
        mean_NG = _group_means(share_NG, own_NV @ say_V, group_N)
        return float(-np.log(mean_NG[rows, true_N[rows]]).mean())

    limit = float(np.log(MOST_SAY))
    found = minimize(loss, np.zeros(len(names) - 1), method="L-BFGS-B", bounds=[(-limit, limit)] * (len(names) - 1))
    return dict(zip(names, [1.0, *np.exp(found.x).tolist()], strict=True))


def cross_smoothed(
    predictions: Predictions, truth: Mapping[str, Ints], group_N: Ints, part_N: Ints, tasks: Sequence[str]
) -> Predictions:
    """Smooth out-of-fold rows with weights that were fitted on the other parts' people.

    truth    {task: (N,) int}, -1 = unknown; part_N: the part of the people each row belongs to, as for `cross_fit`.
    group_N, tasks  as for `smooth`.
    """

    def fit(rows: Ints) -> Weights:
        known = {name: label_N[rows] for name, label_N in truth.items()}
        return fit_weights(predictions.prob[rows], known, group_N[rows], predictions.space, tasks)

    def weigh(weights: Weights, rows: Ints) -> Floats:
        return smooth(predictions, group_N, tasks, weights=weights).prob[rows]

    return Predictions(predictions.ids, cross_fit(part_N, fit, weigh), predictions.space, predictions.lineage)


def write_groups(
    path: Path, ids: Sequence[str], group_N: Ints, *, weights: Weights | None, about: Mapping[str, Any], force: bool
) -> str:
    """Commit `id,group` rows in the order given, and a sidecar `.json` of the same stem; returns the CSV's sha256.

    about  plain JSON data, stored in the sidecar: where the groups come from and how good they are.

    Raises BusyError when the file exists, unless `force`; UsageError for a name without a sidecar; ResourceError.
    """
    columns = {"id": list(ids), "group": _checked(group_N, len(ids)).tolist()}
    return write_csv(path, columns, GROUPS, {"weights": weights and dict(weights), **about}, force=force)


def read_groups(path: Path, ids: Sequence[str], *, part: bool = False) -> Groups:
    """Read what `write_groups` wrote, or a table made by hand, for these ids in their order.

    part: these are not all the rows it groups.

    The columns are `id` and `group`, whose cells are any text: rows of one text are one group. A sidecar beside the
    file must be of these bytes; without one no weights are known.

    Raises DataError for other columns, repeated ids, an empty group, ids that are not those asked for, or a sidecar
    that is damaged or of another file.
    """
    columns = read_columns(path)
    if set(columns) != {"id", "group"}:
        raise DataError(
            "the columns are not those of groups", where=str(path), got=", ".join(columns), expected="id, group"
        )
    times = Counter(columns["id"])
    faults = [f"{id!r} stands {count} times" for id, count in times.items() if count > 1]
    faults += [f"{id!r} has no group" for id, name in zip(columns["id"], columns["group"], strict=True) if not name]
    if faults:
        raise DataError("rows of the groups are wrong", where=str(path), offenders=faults)
    asked = set(ids)
    check_same_ids([id for id in times if id in asked or not part], ids, names=(str(path), "the rows to group"))
    name_N = np.array(columns["group"], dtype=np.str_)[rows_of(columns["id"], ids)]
    number_N = np.unique(name_N, return_inverse=True)[1]
    digest, weights = read_origin(path, GROUPS, _weights)
    return Groups(number_N.astype(np.int64), weights, digest)


def _weights(data: Mapping[str, Any]) -> Weights | None:
    return data["weights"] and {str(name): float(weight) for name, weight in data["weights"].items()}


def _checked(group_N: Ints, rows: int) -> Ints:
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


def _says(weights: Weights | None, space: LabelSpace, tasks: Sequence[str]) -> Doubles:
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


def _group_means(share_NG: Doubles, say_N: Doubles, group_N: Ints) -> Doubles:
    """Return for each row the weighted mean of its group's rows, (N, G)."""
    total = np.bincount(group_N, weights=say_N)
    sums_GN = [np.bincount(group_N, weights=say_N * column) / np.where(total > 0, total, 1) for column in share_NG.T]
    means_NG: Doubles = np.stack(sums_GN, axis=1)[group_N]
    return means_NG
