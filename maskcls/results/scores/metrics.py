"""Macro-F1, accuracy, precision and recall, from counts of rows by true and predicted class.

N rows, C classes, J joint classes, P people, D bootstrap draws. Rows without a label (-1) are left out.
Everything follows from integer counts, so the numbers do not depend on the order of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.errors import ResultError
from maskcls.files import none_for_nan
from maskcls.labels import UNKNOWN, Ints, LabelSpace

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class ClassScore:
    """One class: shares in [0, 1], 0 where undefined; support = rows of this truth, predicted = rows given it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


@dataclass(frozen=True)
class Score:
    """One labelling, joint or of a task.

    macro_f1        mean F1 of the classes that occur in truth or prediction; NaN when no row has a known truth.
    accuracy        share of rows that agree; NaN when there are none.
    rows            rows with known truth.
    classes_scored  number of classes in the macro-F1.
    """

    macro_f1: float
    accuracy: float
    rows: int
    classes_scored: int
    classes: tuple[ClassScore, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a NaN becomes None."""
        data = {**asdict(self), "classes": [asdict(one) for one in self.classes]}
        return {key: none_for_nan(value) for key, value in data.items()}


@dataclass(frozen=True)
class Scores:
    """The joint score over the rows whose tasks are all known, and each task's over the rows where it is known."""

    joint: Score
    tasks: Mapping[str, Score]

    @property
    def macro_f1(self) -> float:
        """Macro-F1 of the joint classes: a run's main score."""
        return self.joint.macro_f1

    @property
    def accuracy(self) -> float:
        """Share of rows right in every task."""
        return self.joint.accuracy

    @property
    def rows(self) -> int:
        """Rows whose tasks are all known."""
        return self.joint.rows

    @property
    def classes_scored(self) -> int:
        """Joint classes that occur in truth or prediction."""
        return self.joint.classes_scored

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the joint score's fields, and `tasks` with the same fields per task."""
        return {**self.joint.to_json(), "tasks": {name: score.to_json() for name, score in self.tasks.items()}}


def score(prediction: NDArray[Any], truth: Mapping[str, Ints], space: LabelSpace) -> Scores:
    """Score joint predictions against the labels of every task.

    prediction  (N,) int joint labels, or (N, J) float joint probabilities whose row maximum is taken.
    truth       {task: (N,) int}, every task of the space; -1 = unknown.

    A task's prediction is its part of the predicted joint class, because a submission holds joint classes. It may
    differ from the maximum of the task's marginal.

    Raises ResultError for probabilities that are not finite, ValueError for labels outside the space.
    """
    joint_N = joint_labels(prediction, space)
    part_of = space.decode(joint_N)
    joint = score_counts(confusion(space.encode(truth), joint_N, space.size), space.joint_names)
    tasks = {
        task.name: score_counts(confusion(truth[task.name], part_of[task.name], len(task.classes)), task.classes)
        for task in space.tasks
    }
    return Scores(joint, tasks)


def confusion(true_N: Ints, pred_N: Ints, classes: int) -> Ints:
    """Count rows by truth and prediction: (C, C) int64, truth down, prediction across.

    true_N  0..C-1, or -1 for a row to leave out.
    pred_N  0..C-1.

    Raises ValueError when the lengths differ or a label is outside.

    >>> confusion(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    true_N, pred_N = known_rows(true_N, pred_N, classes)
    return np.bincount(true_N * classes + pred_N, minlength=classes * classes).reshape(classes, classes)


def f1_per_class(counts_CC: Ints) -> Doubles:
    """Return F1 of each class, (C,): 2 hits / (truths + predictions), 0 for a class without either.

    >>> f1_per_class(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]])).round(4).tolist()
    [0.6667, 0.6667, 0.0]
    """
    return share_of(2 * np.diag(counts_CC), counts_CC.sum(axis=0) + counts_CC.sum(axis=1))


def macro_f1(counts_CC: Ints) -> float:
    """Return the mean F1 of the classes that occur in truth or prediction; NaN when there is no row.

    This is what scikit-learn's `f1_score(average="macro")` gives without `labels`.

    >>> macro_f1(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]]))
    0.6666666666666666
    """
    return macro_f1_of_counts(np.diag(counts_CC), counts_CC.sum(axis=0) + counts_CC.sum(axis=1))


def macro_f1_of_counts(hits_C: Ints, whole_C: Ints) -> float:
    """Return macro-F1 from the hits of each class and its truths plus predictions; NaN when all are 0."""
    present_C = whole_C > 0
    return float(share_of(2 * hits_C, whole_C)[present_C].mean()) if present_C.any() else math.nan


def accuracy(counts_CC: Ints) -> float:
    """Return the share of rows on the diagonal; NaN when there is no row."""
    rows = int(counts_CC.sum())
    return int(np.trace(counts_CC)) / rows if rows else math.nan


def score_counts(counts_CC: Ints, names: Sequence[str]) -> Score:
    """Return all scores of one labelling from its counts (C, C) and the C class names."""
    hits_C, support_C, predicted_C = np.diag(counts_CC), counts_CC.sum(axis=1), counts_CC.sum(axis=0)
    columns = (
        share_of(hits_C, predicted_C),
        share_of(hits_C, support_C),
        f1_per_class(counts_CC),
        support_C,
        predicted_C,
    )
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    return Score(
        macro_f1=macro_f1(counts_CC),
        accuracy=accuracy(counts_CC),
        rows=int(counts_CC.sum()),
        classes_scored=int(_occurring(counts_CC).sum()),
        classes=tuple(ClassScore(*row) for row in rows),
    )


def joint_labels(prediction: NDArray[Any], space: LabelSpace) -> Ints:
    """Return joint labels (N,): as given, or the most probable of joint probabilities (N, J), the lowest of equals.

    Raises ResultError for probabilities that are not finite, ValueError for another number of columns.
    """
    prediction = np.asarray(prediction)
    if prediction.ndim == 1:
        return prediction
    if prediction.shape[1:] != (space.size,):
        raise ValueError(f"probabilities must be (N, {space.size}), got {prediction.shape}")
    bad = np.flatnonzero(~np.isfinite(prediction).all(axis=1))
    if len(bad):
        # argmax of a NaN row would be a confident class 0.
        raise ResultError(
            "probabilities are not finite",
            offenders=[f"row {row}" for row in bad],
            fix="make these predictions again, or leave them out",
        )
    best_N: Ints = np.argmax(prediction, axis=1).astype(np.int64)
    return best_N


def known_rows(true_N: Ints, pred_N: Ints, classes: int) -> tuple[Ints, Ints]:
    """Return the rows with known truth as int64; ValueError for different lengths or labels outside 0..C-1."""
    true_N, pred_N = np.asarray(true_N), np.asarray(pred_N)
    if true_N.shape != pred_N.shape or true_N.ndim != 1:
        raise ValueError(f"truth {true_N.shape} and prediction {pred_N.shape} must be equally long lists")
    keep_N = true_N != UNKNOWN
    for name, label_N in (("truth", true_N), ("prediction", pred_N[keep_N])):
        if label_N.dtype.kind not in "iu":
            raise ValueError(f"{name} must be whole numbers, got {label_N.dtype}")
        lowest = UNKNOWN if name == "truth" else 0
        if label_N.size and (label_N.min() < lowest or label_N.max() >= classes):
            raise ValueError(f"{name} must lie in {lowest}..{classes - 1}")
    return true_N[keep_N].astype(np.int64), pred_N[keep_N].astype(np.int64)


def _occurring(counts_CC: Ints) -> NDArray[np.bool_]:
    present_C: NDArray[np.bool_] = (counts_CC.sum(axis=0) + counts_CC.sum(axis=1)) > 0
    return present_C


def share_of(part: NDArray[Any], whole: NDArray[Any]) -> Doubles:
    """Divide element by element; 0 where the whole is 0."""
    result: Doubles = np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)
    return result
