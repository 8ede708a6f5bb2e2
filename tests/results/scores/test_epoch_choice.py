"""The epoch of a fold is chosen by the other folds: by which score, and among which epochs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskcls.labels import LabelSpace, Task
from maskcls.results.scores.epoch_choice import criterion, ranked_epochs
from maskcls.results.scores.tally import Tally, tally
from maskcls.schema.train import CRITERIA

TINY = LabelSpace((Task("a", ("x", "y")), Task("b", ("u", "v"))))
ROWS = 40


def counted(right: int, rows: int = ROWS) -> Tally:
    """Return the counts of a fold in which so many rows are right and the others wrong in task b."""
    truth = {"a": np.arange(rows) % 2, "b": np.arange(rows) // 2 % 2}
    joint = TINY.encode(truth)
    joint[right:] ^= 1
    return tally(np.eye(4, dtype=np.float32)[joint] * 0.97 + 0.0075, truth, TINY)


def fold(*right: int) -> list[Tally]:
    return [counted(one) for one in right]


@pytest.mark.parametrize(
    ("others", "candidates", "want"),
    [
        ([(10, 30, 20)], [0, 1, 2], [1, 2, 0]),
        ([(10, 30, 20), (40, 0, 20)], [0, 1, 2], [0, 2, 1]),  # 50, 30, 40 rows right together
        ([(10, 30, 20)], [0, 2], [2, 0]),  # epoch 1 of this fold is not kept
        ([(20, 20, 20)], [0, 1, 2], [2, 1, 0]),  # of equals the later
        ([(10, 30), (30, 20, 20)], [0, 1, 2], [2, 1, 0]),  # 40, 50, 30 + 20: a fold that stopped counts with its last
        ([(10, 30)], [0, 1, 2, 3], [3, 2, 1, 0]),
        ([], [0, 1, 2], [2, 1, 0]),  # no other fold
        ([()], [3, 4], [4, 3]),  # a fold of an earlier version has no rows
    ],
)
def test_the_order_of_a_folds_epochs(others: list[tuple[int, ...]], candidates: list[int], want: list[int]) -> None:
    assert ranked_epochs([fold(*right) for right in others], candidates, "macro_f1") == want


def test_the_other_folds_rows_are_scored_together() -> None:
    """A fold of four rows and one of forty: the mean of both scores would choose the first epoch, the rows do not."""
    small, large = [counted(4, 4), counted(0, 4)], [counted(30), counted(36)]
    assert ranked_epochs([small, large], [0, 1], "macro_f1") == [1, 0]


@pytest.mark.parametrize("select", [*CRITERIA, "a", "b"])
def test_every_criterion_without_a_score_keeps_the_last_epoch(select: str) -> None:
    nothing = tally(np.empty((0, 4), np.float32), {"a": np.empty(0, int), "b": np.empty(0, int)}, TINY)
    assert ranked_epochs([[nothing, nothing]], [0, 1], select) == [1, 0]


def test_each_criterion_reads_its_own_score() -> None:
    scores = {"macro_f1": 0.25, "loss": 2.0, "a": 0.9, "b": 0.5}
    assert {select: criterion(scores, select) for select in (*CRITERIA, "a", "b")} == {
        "macro_f1": 0.25,
        "tasks": 0.7,
        "loss": -2.0,
        "last": 0.25,
        "a": 0.9,
        "b": 0.5,
    }
    assert criterion(scores | {"b": math.nan}, "tasks") == 0.9
    assert len(CRITERIA) == 4


def test_the_loss_is_minimised() -> None:
    sure, right = counted(30), counted(31)
    dull = Tally(right.hits, right.whole, right.rows, right.loss + 100)
    assert ranked_epochs([[sure, dull]], [0, 1], "loss") == [0, 1]
    assert ranked_epochs([[sure, dull]], [0, 1], "macro_f1") == [1, 0]


def test_a_fold_chosen_by_others_is_not_flattered() -> None:
    """Epochs that are equally good, each row right by chance: own rows choose a lucky epoch, other folds' do not."""
    rng, own, others, mean = np.random.default_rng(0), [], [], []
    for _ in range(150):
        right = rng.binomial(ROWS, 0.5, (5, 12))
        tallies = [fold(*row) for row in right]
        own.append(right[0].max())
        others.append(right[0, ranked_epochs(tallies[1:], range(12), "macro_f1")[0]])
        mean.append(right[0].mean())
    error = np.std(np.subtract(others, mean), ddof=1) / np.sqrt(150)
    assert abs(np.mean(others) - np.mean(mean)) < 4 * error < 1.2
    assert np.mean(own) - np.mean(mean) > 4
