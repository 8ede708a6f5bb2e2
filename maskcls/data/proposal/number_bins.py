"""Classes for a column of whole numbers: borders near its tertiles, rounded so that they are easy to read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

STEPS = (1000, 500, 100, 50, 20, 10, 5, 2, 1)
SMALLEST_SHARE = 0.2  # of the rows in each class; a third would be equal
CONTEST_BORDERS = (30, 60)


def propose_bins(values_N: Sequence[int]) -> tuple[int, ...]:
    """Return one or two ascending borders for whole numbers >= 0; () if nearly all of them are equal.

    The borders are the tertiles, rounded to the coarsest of STEPS with which each class has SMALLEST_SHARE of the rows;
    else the median, rounded in the same way. A border belongs to the class above it.

    >>> propose_bins(list(range(18, 80)))
    (40, 60)
    """
    number_N = np.asarray(values_N, dtype=np.int64)
    for shares in ([1 / 3, 2 / 3], [1 / 2]):
        # The next value above the rows of the lower classes: a border belongs to the class above it.
        quantile_Q = np.quantile(number_N, shares, method="higher")
        for step in STEPS:
            borders = tuple(int(round(value / step) * step) for value in quantile_Q.tolist())
            if _all_large(number_N, borders):
                return borders
    return ()


def contest_borders_fit(values_N: Sequence[int]) -> bool:
    """Return whether the contest's borders of ages leave at least one row in each class."""
    return _smallest_count(np.asarray(values_N, dtype=np.int64), CONTEST_BORDERS) > 0


def bin_names(borders: Sequence[int]) -> tuple[str, ...]:
    """Return a name per class.

    >>> bin_names((30, 60)), bin_names((1, 2))
    (('<30', '30-59', '>=60'), ('<1', '1', '>=2'))
    """
    middle = [f"{low}-{high - 1}" if high - 1 > low else str(low) for low, high in itertools.pairwise(borders)]
    return (f"<{borders[0]}", *middle, f">={borders[-1]}")


def _all_large(number_N: np.ndarray, borders: tuple[int, ...]) -> bool:
    ascending = borders[0] > 0 and all(low < high for low, high in itertools.pairwise(borders))
    return ascending and _smallest_count(number_N, borders) >= SMALLEST_SHARE * len(number_N)


def _smallest_count(number_N: np.ndarray, borders: tuple[int, ...]) -> int:
    which_N = np.searchsorted(np.asarray(borders), number_N, side="right")
    return int(np.bincount(which_N, minlength=len(borders) + 1).min())
