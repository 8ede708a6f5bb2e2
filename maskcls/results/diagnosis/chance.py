"""Whether predictions are better than chance: macro-F1 against that of permuted labels.

N rows, C classes, U units that are permuted (people, or rows), D draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.scores.metrics import confusion, known_rows, macro_f1

DRAWS = 200
# Standard deviations above the mean of permuted labels. With a dozen tests (tasks times models) one of them exceeds
# 3.5 by chance in fewer than 3 of 1000 cases; two standard deviations would be exceeded in a quarter of them.
LIMIT = 3.5
# Where the largest of nine tests is below 2.5, which chance alone exceeds in 5 of 100 cases, nothing is to be seen.
NOTHING = 2.5
# A macro-F1 this much above chance must be visible, else nothing can be told: a useful model gains more than that.
VISIBLE = 0.2
OF_PERSON = 0.95


@dataclass(frozen=True)
class Chance:
    """A macro-F1 and what chance gives: mean and standard deviation over permutations of the labels.

    A label that is the same on all photos of each person is permuted between people: photos of one person are not
    independent.

    constant  whether one class is predicted for all rows. Such predictions say nothing about the labels.
    """

    score: float
    mean: float
    sd: float
    constant: bool = False

    @property
    def above(self) -> float:
        """How many standard deviations the score is above chance."""
        return (self.score - self.mean) / max(self.sd, 1e-9)

    @property
    def better(self) -> bool:
        """Whether the score is better than chance."""
        return self.above > LIMIT

    @property
    def nothing(self) -> bool:
        """Whether the score shows no sign of being better than chance."""
        return self.above < NOTHING

    @property
    def visible(self) -> bool:
        """Whether a score that is `VISIBLE` above chance would have been seen with so few people.

        False for constant predictions: permuted labels give them the same score, however few people there are.
        """
        return not self.constant and LIMIT * self.sd < VISIBLE

    @property
    def high(self) -> float:
        """The highest score that chance explains."""
        return self.mean + LIMIT * self.sd


def against_chance(true_N: Ints, pred_N: Ints, person_N: NDArray[Any], classes: int, *, seed: int) -> Chance:
    """Compare the macro-F1 of predictions with permuted labels; rows with the label -1 are left out.

    Raises ValueError as `metrics.confusion`, and where no row has a label.

    >>> found = against_chance(np.tile([0, 1], 50), np.tile([0, 1], 50), np.arange(100), 2, seed=0)
    >>> found.score, found.better, round(found.mean, 1)
    (1.0, True, 0.5)
    """
    known_N = np.asarray(true_N) >= 0
    if not known_N.any():
        raise ValueError("no row has a known label")
    true_N, pred_N = known_rows(true_N, pred_N, classes)
    unit_N = permuted_units(true_N, np.asarray(person_N)[known_N])
    true_UC, pred_UC = (np.zeros((int(unit_N.max()) + 1, classes)) for _ in range(2))
    np.add.at(true_UC, (unit_N, true_N), 1)
    np.add.at(pred_UC, (unit_N, pred_N), 1)
    label_U = true_UC.argmax(axis=1).astype(np.int64)
    rng = np.random.default_rng(seed)
    drawn = [_permuted(label_U[rng.permutation(len(label_U))], pred_UC, classes) for _ in range(DRAWS)]
    score = macro_f1(confusion(true_N, pred_N, classes))
    constant = bool((pred_N == pred_N[0]).all())
    return Chance(score, float(np.mean(drawn)), float(np.std(drawn, ddof=1)), constant)


def permuted_units(true_N: Ints, person_N: NDArray[Any]) -> Ints:
    """Return the unit (N,) of each row: its person if the label is one per person, else the row itself.

    A few wrong labels do not count: the label is one per person if `OF_PERSON` of the rows have their person's.
    """
    who_N = np.unique(person_N, return_inverse=True)[1].astype(np.int64)
    counts_PC = np.zeros((int(who_N.max()) + 1, int(true_N.max()) + 1), dtype=np.int64)
    np.add.at(counts_PC, (who_N, true_N), 1)
    return who_N if counts_PC.max(axis=1).sum() >= OF_PERSON * len(true_N) else np.arange(len(true_N))


def _permuted(label_U: Ints, pred_UC: NDArray[np.float64], classes: int) -> float:
    counts = np.equal(label_U[:, None], np.arange(classes)).T @ pred_UC
    return macro_f1(counts.astype(np.int64))
