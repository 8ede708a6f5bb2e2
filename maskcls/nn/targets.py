"""The targets of a head, one row per image; see `losses` for the meaning of a row.

N rows of the manifest, C classes of a task, G groups and K trained classes of a head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats, Ints, LabelSpace, Task
from maskcls.nn.heads import JOINT, Head

HALF = 0.5  # people of 29 years have lived 29.5 years on average


def target_rows(
    head: Head,
    labels: Mapping[str, Ints],
    values: Mapping[str, Ints],
    weight_N: Floats,
    space: LabelSpace,
    *,
    train_bins: Sequence[int] | None = None,
    spread: float | None = None,
    soft_NJ: Floats | None = None,
) -> Floats:
    """Return the target rows of a head, float32 (N, G * K), or (N, G * 3) for a normal reading, times the row weights.

    labels      {task: (N,)} int64 class indices, -1 unknown; values: {task: (N,)} int64 such as years, -1 unknown.
    weight_N    float32 row weights, 0 or more.
    train_bins  other class boundaries of the task with bins, used in training only.
    spread      standard deviation of a normal distribution around each value, in the value's unit, so that a value near
                a boundary is shared between both classes; None: it belongs to one class.
    soft_NJ     float32 probabilities of the joint classes; a row that is not all zeros replaces the labels of its row.
                A head with finer classes, or with a normal reading, gets targets of zero for these rows.
    """
    if head.name == JOINT:
        rows = np.ones((len(weight_N), 1), dtype=np.float32)
        for task in space.tasks:
            part = _task_rows(task, labels, values, train_bins or task.bins, spread)
            rows = (rows[:, :, None] * part[:, None, :]).reshape(len(rows), -1)
    else:
        rows = _own_task_rows(head, labels, values, space, train_bins, spread)
    if soft_NJ is not None:
        _soften(rows, head, labels, soft_NJ, space)
    if head.given is not None:
        rows = (class_rows(labels[head.given], head.groups)[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
    return (rows * weight_N[:, None]).astype(np.float32)


def _own_task_rows(
    head: Head,
    labels: Mapping[str, Ints],
    values: Mapping[str, Ints],
    space: LabelSpace,
    train_bins: Sequence[int] | None,
    spread: float | None,
) -> Floats:
    match head.reading:
        case "normal":
            value_N = np.where(labels[head.name] >= 0, values[head.name], -1)
            return moment_rows(value_N, centre=head.centre, scale=head.scale)
        case "softmax" | "sigmoid" | "ordinal":
            edges = head.edges if head.edges != head.bins else train_bins or head.bins
            return _task_rows(space.task(head.name), labels, values, edges, spread)
        case _:
            assert_never(head.reading)


def _soften(rows: Floats, head: Head, labels: Mapping[str, Ints], soft_NJ: Floats, space: LabelSpace) -> None:
    """Replace known labels by probabilities, in place."""
    here_N = soft_NJ.any(axis=1)
    known_N = np.all([labels[name] >= 0 for name in (space.names if head.name == JOINT else [head.name])], axis=0)
    wide = soft_NJ if head.name == JOINT else space.marginals(soft_NJ)[head.name]
    classes = head.name == JOINT or (head.reading != "normal" and head.edges == head.bins)
    rows[here_N] = wide[here_N] * known_N[here_N, None] if classes else 0


def class_rows(label_N: Ints, classes: int) -> Floats:
    """Return one-hot rows (N, C) float32; a negative label gives zeros.

    >>> class_rows(np.array([1, -1]), 2).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    return np.equal(label_N[:, None], np.arange(classes)).astype(np.float32)


def value_rows(value_N: Ints, edges: Sequence[int], *, spread: float | None = None) -> Floats:
    """Return rows (N, len(edges) + 1) float32 that sort whole numbers (N,) into classes; zeros for negative numbers.

    edges   ascending class boundaries.
    spread  standard deviation as in `target_rows`: a class gets the normal probability mass between its boundaries.

    >>> value_rows(np.array([29, 30]), [30, 60]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    >>> value_rows(np.array([29]), [30], spread=1.0).round(3).tolist()  # half a year below: Phi(0.5)
    [[0.6909999847412109, 0.3089999854564667]]
    """
    known = value_N >= 0
    if spread is None:
        return class_rows(np.where(known, np.searchsorted(edges, value_N, side="right"), -1), len(edges) + 1)
    distance = (np.asarray(edges)[None, :] - (value_N[:, None] + HALF)) / spread
    below = np.vectorize(_phi, otypes=[np.float64])(distance)
    zeros, ones = np.zeros((len(value_N), 1)), np.ones((len(value_N), 1))
    return (np.diff(np.hstack([zeros, below, ones]), axis=1) * known[:, None]).astype(np.float32)


def moment_rows(value_N: Ints, *, centre: float, scale: float) -> Floats:
    """Return (1, z, z ** 2), (N, 3) float32, with z = (value + 1/2 - centre) / scale; zeros for a negative value."""
    z = (value_N + HALF - centre) / scale
    return (np.stack([np.ones_like(z), z, z**2], axis=1) * (value_N >= 0)[:, None]).astype(np.float32)


def _task_rows(
    task: Task, labels: Mapping[str, Ints], values: Mapping[str, Ints], edges: Sequence[int], spread: float | None
) -> Floats:
    label_N = labels[task.name]
    if not task.bins:
        return class_rows(label_N, len(task.classes))
    value_N = np.where(label_N >= 0, values[task.name], -1)
    rows = value_rows(value_N, edges, spread=spread)
    # A row with a known class but an unknown number is a target of that class, unless the head has finer classes.
    if len(edges) == len(task.bins):
        rows[value_N < 0] = class_rows(label_N[value_N < 0], len(task.classes))
    return rows


def _phi(x: NDArray[np.float64]) -> float:
    return 0.5 * math.erfc(-float(x) / math.sqrt(2))
