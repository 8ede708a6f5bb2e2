"""Resampling of people, each with all their rows: for decision rules and class shares.

Intervals of scores do not resample; see `intervals`. P people, C classes, D bootstrap draws.

Reference: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8 (whole clusters).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from maskcls.results.scores.metrics import Doubles, share_of

BOOTSTRAP_DRAWS = 1000  # for what is reported
WEIGHTS_AT_ONCE = 1 << 20  # resampling weights held at a time: 8 MiB, and twice that while they are drawn


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


def resampled_macro_f1(weights_DP: Doubles, hits_PC: Doubles, marks_PC: Doubles) -> Doubles:
    """Return the macro-F1 of each draw, (D,), from how often it took each person, (D, P)."""
    marks_DC = weights_DP @ marks_PC
    f1_DC = share_of(2 * (weights_DP @ hits_PC), marks_DC)
    mean_D: Doubles = f1_DC.sum(axis=1) / (marks_DC > 0).sum(axis=1)
    return mean_D
