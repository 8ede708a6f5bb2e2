"""Ranking quality of probabilities: ROC-AUC of each class against the rest.

N rows, C classes, J joint classes. Rows without a label (-1) are left out. The number does not depend on where
a decision is cut, so it tells a network that knows from one that decides well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.files import none_for_nan
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace


@dataclass(frozen=True)
class Ranking:
    """One labelling, joint or of a task.

    auc_by_class  one class against the rest, in [0, 1], 0.5 by chance; NaN where all rows are of it, or none.
    macro_auc     their mean, NaN left out; NaN when none is defined.
    rows          rows with known truth.
    """

    auc_by_class: tuple[float, ...]
    macro_auc: float
    rows: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a NaN becomes None."""
        by_class = [none_for_nan(value) for value in self.auc_by_class]
        return {"macro_auc": none_for_nan(self.macro_auc), "rows": self.rows, "auc_by_class": by_class}


@dataclass(frozen=True)
class Rankings:
    """The joint classes over the rows whose tasks are all known, and each task's over the rows where it is known."""

    joint: Ranking
    tasks: Mapping[str, Ranking]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the joint numbers, and `tasks` with the same for each task."""
        return {**self.joint.to_json(), "tasks": {name: one.to_json() for name, one in self.tasks.items()}}


def rankings(prob_NJ: Floats, truth: Mapping[str, Ints], space: LabelSpace) -> Rankings:
    """Rank by joint probabilities, and for each task by their marginals.

    prob_NJ  (N, J) float, rows sum to 1.
    truth    {task: (N,) int}, every task of the space; -1 = unknown.
    """
    parts = space.marginals(prob_NJ)
    tasks = {name: ranking(parts[name], truth[name]) for name in space.names}
    return Rankings(ranking(prob_NJ, space.encode(truth)), tasks)


def ranking(prob_NC: Floats, true_N: Ints) -> Ranking:
    """Rank by the probabilities (N, C) of one labelling against its truth (N,), -1 for a row to leave out."""
    known_N = true_N != UNKNOWN
    prob_NC, true_N = prob_NC[known_N], true_N[known_N]
    by_class = [roc_auc(prob_NC[:, c], true_N == c) for c in range(prob_NC.shape[1])]
    defined = [value for value in by_class if not math.isnan(value)]
    macro = math.fsum(defined) / len(defined) if defined else math.nan
    return Ranking(tuple(by_class), macro, len(true_N))


def roc_auc(score_N: NDArray[Any], positive_N: NDArray[np.bool_]) -> float:
    """Return how likely a positive row scores above a negative one, a tie counting half; NaN without both.

    Reference: Hanley and McNeil 1982, Radiology 143 (the area under the ROC curve is the Mann-Whitney statistic).

    >>> roc_auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True]))
    0.875
    """
    positives = int(positive_N.sum())
    pairs = positives * (len(positive_N) - positives)
    if not pairs:
        return math.nan
    _, which_N, ties_U = np.unique(score_N, return_inverse=True, return_counts=True)
    rank_U = np.cumsum(ties_U) - (ties_U - 1) / 2  # from 1; equal scores share the mean of their ranks
    return float((rank_U[which_N][positive_N].sum() - positives * (positives + 1) / 2) / pairs)
