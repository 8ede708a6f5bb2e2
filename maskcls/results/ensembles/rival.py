"""The single member an ensemble is compared with: for each fold, the one that is best on the other folds.

The best of several equally good members, picked on the rows that score it, looks better than it is, and the gain of the
ensemble over it worse. N rows, M members.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.labels import Ints
from maskcls.results.crossfit import cross_fit
from maskcls.results.scores.metrics import confusion, macro_f1


@dataclass(frozen=True, eq=False)
class Rival:
    """Each row's label by the member that is best on the other folds.

    labels    (N,) int64.
    macro_f1  of these labels, on all rows.
    chosen    {number of a member: number of folds for which it was chosen}, the most frequent first.
    """

    labels: Ints
    macro_f1: float
    chosen: Mapping[int, int]


def nested_rival(labels_MN: Sequence[Ints], true_N: Ints, fold_N: Ints, classes: int) -> Rival:
    """Choose the member with the best macro-F1, the first of equals, on the other folds of each row.

    labels_MN  M arrays (N,) int, 0..classes-1, of the same rows.
    true_N     (N,) int, 0..classes-1, or -1 for a row that does not count.
    fold_N     (N,) int, at least two different.

    Raises ValueError as `cross_fit` does.

    >>> a, b, truth = np.array([0, 1, 1, 0]), np.array([1, 0, 0, 1]), np.array([0, 1, 0, 1])
    >>> found = nested_rival([a, b], truth, np.array([0, 0, 1, 1]), 2)  # a is right on fold 0, b on fold 1
    >>> found.macro_f1, dict(found.chosen)
    (0.0, {1: 1, 0: 1})
    """
    chosen: list[int] = []

    def best(rows: Ints) -> int:
        return int(np.argmax([macro_f1(confusion(true_N[rows], label_N[rows], classes)) for label_N in labels_MN]))

    def answer(member: int, rows: Ints) -> Ints:
        chosen.append(member)
        return labels_MN[member][rows]

    label_N: Ints = cross_fit(fold_N, best, answer)
    return Rival(label_N, macro_f1(confusion(true_N, label_N, classes)), dict(Counter(chosen).most_common()))
