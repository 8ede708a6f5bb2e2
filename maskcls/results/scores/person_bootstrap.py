"""The uncertainty of a macro-F1: a percentile bootstrap that draws people, each with all their rows.

N rows, C classes, P people, D bootstrap draws. Rows without a label (-1) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Ints
from maskcls.results.scores.metrics import Doubles, known_rows, share_of

BOOTSTRAP_DRAWS = 1000  # for every interval this package reports
WEIGHTS_AT_ONCE = 1 << 20  # resampling weights held at a time: 8 MiB, and twice that while they are drawn


@dataclass(frozen=True)
class Interval:
    """A percentile interval of the macro-F1 from `draws` resamples of people."""

    low: float
    high: float
    draws: int
    level: float


def person_bootstrap(
    true_N: Ints,
    pred_N: Ints,
    person_N: Sequence[str] | NDArray[Any],
    classes: int,
    *,
    seed: int,
    draws: int = BOOTSTRAP_DRAWS,
    level: float = 0.95,
) -> Interval:
    """Give the macro-F1 an interval by drawing people, with all their photos, with replacement.

    Reference: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8 (whole clusters).

    Photos of one person are similar, so drawing photos one by one would give too narrow an interval. A class that does
    not occur in a draw is left out of that draw's mean, as `macro_f1` does. Memory stays near the size of the input
    for any number of draws; the result does not depend on the order of the rows.

    true_N, pred_N  as for `confusion`.
    person_N        (N,) the person on each row; text or whole numbers.
    level           share of the draws inside, in (0, 1).

    Raises ValueError for no rows, no draws, a level outside (0, 1), or labels outside the classes.
    """
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"draws must be at least 1 and level within (0, 1): got {draws}, {level}")
    who_N = _person_index(person_N, np.asarray(true_N) != UNKNOWN)
    true_N, pred_N = known_rows(true_N, pred_N, classes)
    if not len(true_N):
        raise ValueError("no row has a known truth")
    hits_PC, marks_PC = person_counts(true_N, pred_N, who_N, classes)
    scores_D = np.concatenate(
        [resampled_macro_f1(weights_DP, hits_PC, marks_PC) for weights_DP in resamples(len(hits_PC), draws, seed)]
    )
    low, high = np.quantile(scores_D, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), draws, level)


def resamples(people: int, draws: int, seed: int, *, taken: int | None = None) -> Iterator[Doubles]:
    """Yield how often each draw takes each person, (d, P) float64, in pieces whose size does not change the draws.

    taken  people a draw takes, with replacement; None: as many as there are.

    >>> [weights_DP.sum(axis=1).tolist() for weights_DP in resamples(3, 2, seed=0, taken=5)]
    [[5.0, 5.0]]
    """
    rng, taken = np.random.default_rng(seed), people if taken is None else taken
    piece = max(1, WEIGHTS_AT_ONCE // max(people, taken))
    for start in range(0, draws, piece):
        count = min(piece, draws - start)
        cells = rng.integers(people, size=(count, taken)) + people * np.arange(count)[:, np.newaxis]
        yield np.bincount(cells.ravel(), minlength=count * people).reshape(count, people).astype(np.float64)


def person_counts(true_N: Ints, pred_N: Ints, who_N: Ints, classes: int) -> tuple[Doubles, Doubles]:
    """Count, by person and class, hits (P, C) and truths plus predictions (P, C): all that F1 needs.

    who_N  0..P-1, every number in use. float64, because the sums that follow are matrix products.
    """
    people = int(who_N.max()) + 1

    def count(rows: NDArray[np.bool_] | slice, label_N: Ints) -> Doubles:
        cells = np.bincount(who_N[rows] * classes + label_N[rows], minlength=people * classes)
        return cells.reshape(people, classes).astype(np.float64)

    everything = slice(None)
    return count(true_N == pred_N, true_N), count(everything, true_N) + count(everything, pred_N)


def resampled_macro_f1(weights_DP: Doubles, hits_PC: Doubles, marks_PC: Doubles) -> Doubles:
    """Return the macro-F1 of each draw, (D,), from how often it took each person, (D, P)."""
    marks_DC = weights_DP @ marks_PC
    f1_DC = share_of(2 * (weights_DP @ hits_PC), marks_DC)
    mean_D: Doubles = f1_DC.sum(axis=1) / (marks_DC > 0).sum(axis=1)
    return mean_D


def _person_index(person_N: Sequence[str] | NDArray[Any], keep_N: NDArray[np.bool_]) -> Ints:
    if len(person_N) != len(keep_N):
        raise ValueError(f"{len(person_N)} people for {len(keep_N)} rows")
    names = np.asarray(person_N)[keep_N].tolist()
    index = {name: i for i, name in enumerate(sorted(set(names)))}  # sorted: independent of the rows' order
    return np.fromiter((index[name] for name in names), dtype=np.int64, count=len(names))
