"""How many pairs of photos are grouped rightly and wrongly, and how many will be among more photos.

A photo meets its own person's other photos in a set of any size. But the more strangers are in the set, the more of
them look like that person. So right pairs per photo are taken as constant, and wrong pairs per photo as proportional to
the number of photos. In simulations wrong pairs grow a little more slowly (1.8-fold for twice as many), so the expected
precision is rather too low than too high; see `benchmarks/honesty/groups.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints

PARTS = 2  # of the known people: each is grouped by what was fitted on the other


@dataclass(frozen=True)
class PairRates:
    """Pairs per photo, of one person and of two, that grouping joined in sets of `photos` photos."""

    right: float
    wrong: float
    photos: float

    @staticmethod
    def of(group_N: Ints, precision: float, photos: float) -> PairRates:
        """Return the rates of groups of known pair precision, made among so many photos at a time.

        One wrong pair is added, so that a small set without any does not promise a perfect one.

        >>> PairRates.of(np.array([0, 0, 0, 1]), precision=2 / 3, photos=4)
        PairRates(right=0.5, wrong=0.5, photos=4)
        """
        pairs = _pairs(group_N)
        right = precision * pairs
        return PairRates(right / len(group_N), (pairs - right + 1) / len(group_N), photos)

    def precision(self, photos: float) -> float:
        """Return the expected pair precision in a set of so many photos, with as many photos per person.

        >>> PairRates(right=3.0, wrong=1.0, photos=100).precision(300)
        0.5
        """
        return self.right / (self.right + self.wrong * photos / self.photos)

    def precision_of(self, group_N: NDArray[Any]) -> float:
        """Return the expected pair precision of groups of unknown photos, (N,) int from 0.

        It follows from the number of grouped pairs, the expected part of which is wrong. So it is low too where people
        have fewer photos each than the known ones. 1 where no two photos are grouped.

        >>> PairRates(right=3.0, wrong=1.0, photos=100).precision_of(np.zeros(50, int))
        0.9795918367346939
        """
        pairs = _pairs(group_N)
        wrong = self.wrong * len(group_N) / self.photos * len(group_N)
        return max(0.0, 1 - wrong / pairs) if pairs else 1.0


def _pairs(group_N: NDArray[Any]) -> int:
    size_G = np.unique(group_N, return_counts=True)[1]
    return int((size_G * (size_G - 1) // 2).sum())
