"""What the scores of some rows need, as sums: the sums of several folds can be added and scored together.

N rows, C classes of one labelling, J joint classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints, LabelSpace
from maskcls.results.scores.metrics import confusion, joint_labels, macro_f1_of_counts

JOINT = ""  # the labelling by joint classes, in the place of a task's name
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Tally:
    """Sums over rows.

    hits   rows predicted right, by class (C,), of the joint labelling and of each task.
    whole  rows of this truth plus rows given this prediction, by class (C,), likewise.
    rows   rows with a label of every task.
    loss   sum of their joint log losses, nats.
    """

    hits: Mapping[str, Ints]
    whole: Mapping[str, Ints]
    rows: int
    loss: float

    def __add__(self, other: Tally) -> Tally:
        """Return the sums over both sets of rows; the label spaces must be equal."""
        hits = {name: counts + other.hits[name] for name, counts in self.hits.items()}
        whole = {name: counts + other.whole[name] for name, counts in self.whole.items()}
        return Tally(hits, whole, self.rows + other.rows, self.loss + other.loss)


def tally(prob_NJ: NDArray[Any], truth: Mapping[str, Ints], space: LabelSpace) -> Tally:
    """Count joint probabilities (N, J) against the labels (N,) of every task, -1 = unknown.

    As in `metrics.score`, a task's prediction is its part of the most probable joint class.
    Raises ResultError for probabilities that are not finite.
    """
    pred_N, joint_N = joint_labels(prob_NJ, space), space.encode(truth)
    parts = space.decode(pred_N)
    counts = {JOINT: confusion(joint_N, pred_N, space.size)}
    counts |= {task.name: confusion(truth[task.name], parts[task.name], len(task.classes)) for task in space.tasks}
    known = joint_N >= 0
    right_N = prob_NJ[known, joint_N[known]].astype(np.float64)
    return Tally(
        {name: np.diag(count) for name, count in counts.items()},
        {name: count.sum(axis=0) + count.sum(axis=1) for name, count in counts.items()},
        int(known.sum()),
        float(-np.log(np.maximum(right_N, LEAST_PROBABILITY)).sum()),
    )


def epoch_scores(counted: Tally) -> dict[str, float]:
    """Return what is logged per epoch: `macro_f1` (joint), `loss` (mean joint log loss, nats), and macro-F1 by task.

    If no row has all its labels, `macro_f1` is the mean of the tasks' scores. A score without any row is NaN.
    """
    found = {name: macro_f1_of_counts(counted.hits[name], counted.whole[name]) for name in counted.hits}
    joint = found.pop(JOINT)
    if counted.rows:
        return {"macro_f1": joint, "loss": counted.loss / counted.rows} | found
    return {"macro_f1": mean_of_known(found.values()), "loss": math.nan} | found


def mean_of_known(values: Iterable[float]) -> float:
    """Return the mean of the values that are not NaN; NaN when there is none."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
