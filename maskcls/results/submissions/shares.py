"""Compare the class shares of a submission with those of known people.

P people, J joint classes, D draws. Photos of one person are of one gender and age, so the counts of a few hundred
people vary far more than those of as many single photos. A chi-square test assumes independent photos and would
reject nearly every correct set; here the spread comes from drawing people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Ints
from maskcls.results.scores.metrics import Doubles
from maskcls.results.scores.person_bootstrap import resamples

LEVEL = 0.99
MOSTLY = 0.99  # a share of rows from which one class is suspicious, whatever was trained on
FEW_ROWS = 100  # below it, one class alone is no surprise
FAR_SD = 4.0  # in correct sets of 18 classes, one class is this far out about once in a few hundred sets


@dataclass(frozen=True)
class ClassShare:
    """One class: rows found, rows expected, and the standard deviation of their difference over people."""

    label: int
    rows: int
    expected: float
    sd: float

    @property
    def is_unusual(self) -> bool:
        """Whether the rows differ from the expected ones by more than random variation."""
        return abs(self.rows - self.expected) > FAR_SD * self.sd + 1  # one row more, for classes without any spread


@dataclass(frozen=True)
class Shares:
    """Class counts beside the expected ones.

    distance  total variation, half the sum of the shares' differences, in [0, 1].
    usual     99 % quantile of that distance between two random sets of people of these sizes.
    """

    distance: float
    usual: float
    classes: tuple[ClassShare, ...]

    @property
    def unusual(self) -> tuple[ClassShare, ...]:
        """The classes whose share is unusual, the largest difference first."""
        found = [one for one in self.classes if one.is_unusual]
        return tuple(sorted(found, key=lambda one: -abs(one.rows - one.expected)))


def dominant_class(rows_J: Ints) -> int | None:
    """Return the class of nearly all rows, as a broken network predicts; None if there is none, or of few rows.

    rows_J  (J,) int, rows given each class.

    >>> dominant_class(np.array([0, 100, 1])), dominant_class(np.array([0, 99])), dominant_class(np.array([1, 99]))
    (1, None, None)
    """
    total, most = int(rows_J.sum()), int(rows_J.argmax())
    return most if total >= FEW_ROWS and rows_J[most] > MOSTLY * total else None


def compare_shares(rows_J: Ints, people_PJ: Ints, *, draws: int, seed: int) -> Shares:
    """Compare class counts with those of known people.

    rows_J     (J,) int, rows given each class; at least one row.
    people_PJ  (P, J) int, rows of each class that each person has; at least one row.

    The spread is that between two sets of people drawn with replacement: as many as have `rows_J` rows on average, and
    as many as are known, because the expected shares are known from these people only. Predicted labels are compared
    with true ones, so a network that avoids a class is reported, too.

    draws  number of resamples; `seed` and seed + 1 seed the two sets.
    """
    rows, known = int(rows_J.sum()), len(people_PJ)
    taken = max(1, round(rows * known / people_PJ.sum()))
    drawn_DJ, again_DJ = (_drawn(people_PJ, n, draws, seed + i) for i, n in enumerate((taken, known)))
    prior_J = people_PJ.sum(axis=0) / people_PJ.sum()
    columns = (rows_J, prior_J * rows, (drawn_DJ - again_DJ).std(axis=0) * rows)
    classes = tuple(map(ClassShare, range(len(rows_J)), *(column.tolist() for column in columns)))
    usual = float(np.quantile(_distance(drawn_DJ, again_DJ), LEVEL))
    return Shares(float(_distance(rows_J / rows, prior_J)), usual, classes)


def person_classes(joint_N: Ints, people_N: NDArray[Any], classes: int) -> Ints:
    """Count the rows of each class that each person has, (P, J); rows of unknown class (-1) are left out."""
    known_N = joint_N != UNKNOWN
    who_N = np.unique(people_N[known_N], return_inverse=True)[1]
    people = int(who_N.max(initial=-1)) + 1
    counts_PJ = np.bincount(who_N * classes + joint_N[known_N], minlength=people * classes)
    return counts_PJ.reshape(people, classes)


def _drawn(people_PJ: Ints, taken: int, draws: int, seed: int) -> Doubles:
    """Return the class shares (D, J) of sets of people."""
    pieces = [weights_DP @ people_PJ for weights_DP in resamples(len(people_PJ), draws, seed, taken=taken)]
    drawn_DJ: Doubles = np.concatenate(pieces)
    drawn_DJ /= drawn_DJ.sum(axis=1, keepdims=True)
    return drawn_DJ


def _distance(share: Doubles, prior: Doubles) -> Any:
    return np.abs(share - prior).sum(axis=-1) / 2
