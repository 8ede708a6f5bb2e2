"""The score of a task with bins by the true whole number, such as the age in years. N rows.

Bands are cut out of a number, so most mistakes are expected near the borders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Ints, Task
from maskcls.results.scores.intervals import Interval, share_interval

MOST_GROUPS = 100  # values are taken together so that there are about as many groups at most


@dataclass(frozen=True)
class ValueScore:
    """The rows whose true number is in low..high, all of one band.

    people    how many people they show; None when that is not known.
    right     share of rows given their band; lower, higher: share given a lower or a higher one. They sum to 1.
    interval  of `right`, over people, or rows where they are not known.
    """

    low: int
    high: int
    band: str
    rows: int
    people: int | None
    right: float
    interval: Interval | None
    lower: float
    higher: float

    @property
    def name(self) -> str:
        """The numbers, such as `30` or `30-34`."""
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


def value_scores(
    value_N: Ints, given_N: Ints, task: Task, people_N: NDArray[Any] | None = None, *, width: int | None = None
) -> tuple[ValueScore, ...]:
    """Score the rows by their true number, ascending; numbers without rows, and rows without a number, are left out.

    value_N   (N,) true whole numbers, -1 = unknown.
    given_N   (N,) predicted class 0..C-1.
    task      with bins.
    people_N  (N,) the person on each row; None when not known.
    width     how many consecutive numbers are taken together, at least 1; a border always begins a new group.
              None: 1, or more where there would be over 100 groups.
    """
    if not task.bins:
        raise ValueError(f"{task.name} has no bins")
    known = np.flatnonzero(value_N != UNKNOWN)
    if not len(known):
        return ()
    value_N, given_N = value_N[known], given_N[known]
    person_N = None if people_N is None else people_N[known]
    starts = _starts(int(value_N.min()), int(value_N.max()), task.bins, width)
    group_N = np.searchsorted(starts, value_N, side="right") - 1
    ends = [*(start - 1 for start in starts[1:]), int(value_N.max())]
    return tuple(
        _scored(np.flatnonzero(group_N == group), (starts[group], ends[group]), given_N, task, person_N)
        for group in np.unique(group_N).tolist()
    )


def _starts(least: int, most: int, borders: Sequence[int], width: int | None) -> list[int]:
    """Return the first number of each group."""
    step = math.ceil((most - least + 1) / MOST_GROUPS) if width is None else width
    firsts = [least, *(border for border in borders if least < border <= most)]
    lasts = [*(first - 1 for first in firsts[1:]), most]
    return [start for first, last in zip(firsts, lasts, strict=True) for start in range(first, last + 1, step)]


def _scored(rows: Ints, ends: tuple[int, int], given_N: Ints, task: Task, person_N: NDArray[Any] | None) -> ValueScore:
    band = int(task.band(np.array([ends[0]]))[0])
    given_n, who_n = given_N[rows], rows if person_N is None else person_N[rows]
    return ValueScore(
        *ends,
        band=task.classes[band],
        rows=len(rows),
        people=None if person_N is None else len(np.unique(who_n)),
        right=float((given_n == band).mean()),
        interval=share_interval(given_n == band, who_n),
        lower=float((given_n < band).mean()),
        higher=float((given_n > band).mean()),
    )
