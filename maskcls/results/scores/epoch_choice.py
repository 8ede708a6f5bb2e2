"""Which epoch of a fold to use: chosen by the other folds' rows.

A fold's own rows score its network. An epoch chosen by the same rows would be one where they happened to come out
well, and its score would be too high for new people. The rows of the other folds are other people, so the score stays
a score on people who had no part in the choice. Measured in benchmarks/honesty/selection.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

from maskcls.results.scores.tally import Tally, epoch_scores, mean_of_known


def criterion(scores: Mapping[str, float], select: str) -> float:
    """Return the number to be maximised, from the scores of `epoch_scores`; NaN when it has no row.

    select  macro_f1: of the joint classes; tasks: the mean of the tasks' macro-F1; loss: minus the joint log loss;
            the name of a task: its macro-F1; last: as macro_f1, for what needs a score all the same (early stopping).

    >>> scores = {"macro_f1": 0.25, "loss": 2.0, "mask": 0.9, "age": 0.5}
    >>> [criterion(scores, select) for select in ("macro_f1", "tasks", "loss", "age", "last")]
    [0.25, 0.7, -2.0, 0.5, 0.25]
    """
    if select == "tasks":
        return mean_of_known(value for name, value in scores.items() if name not in ("macro_f1", "loss"))
    if select == "loss":
        return -scores["loss"]
    return scores["macro_f1" if select == "last" else select]


def ranked_epochs(others: Sequence[Sequence[Tally]], candidates: Sequence[int], select: str) -> list[int]:
    """Return the epochs of one fold that can be chosen, the best first, by the rows of the other folds together.

    others      for each other fold, what its network counted after each epoch, from epoch 0 on. A fold that stopped
                early counts with its last epoch from then on.
    candidates  epochs of the fold, ascending. Of equal scores the later epoch comes first; without other folds, or
                without a score, so does the last one.
    """
    return sorted(candidates, key=lambda epoch: (_score(others, epoch, select), epoch), reverse=True)


def _score(others: Sequence[Sequence[Tally]], epoch: int, select: str) -> float:
    return _criterion_of([fold[min(epoch, len(fold) - 1)] for fold in others if fold], select)


def _criterion_of(counted: Sequence[Tally], select: str) -> float:
    if not counted:
        return -math.inf
    found = criterion(epoch_scores(reduce(add, counted)), select)
    return -math.inf if math.isnan(found) else found
