"""How an epoch's rows are cut into optimizer steps, and a step into the pieces processes compute.

Everything is a pure function of (seed, epoch), so the loader can be restarted anywhere and the number of processes or
workers changes nothing. R rows of a fold's training side, S rows of a step, P processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

MIN_PIECE = 2


@dataclass(frozen=True)
class Piece:
    """Places of a step (B,) that one process computes in one forward pass.

    real  False for places that only fill up; they weigh nothing.
    """

    places: Rows
    real: NDArray[np.bool_]


def epoch_order(rows_R: Rows, *, seed: int, epoch: int) -> Rows:
    """Return the rows (R,) in the order of this epoch."""
    return np.random.default_rng((seed, epoch)).permutation(rows_R)


def steps(order_R: Rows, batch_size: int) -> list[Rows]:
    """Cut the order into steps of `batch_size` rows; the last one may be shorter.

    >>> [s.tolist() for s in steps(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    return [order_R[i : i + batch_size] for i in range(0, len(order_R), batch_size)]


def pieces(size: int, *, processes: int, accumulate: int) -> list[list[Piece]]:
    """Share a step of `size` rows: pieces[p][a] is what process p computes in its pass a.

    Every place is real in exactly one piece. All pieces of a step have the same length, at least two (normalisation
    over a batch of one is undefined); places repeated to get there are marked as not real.
    """
    parts = np.array_split(np.arange(size), processes * accumulate)
    length = max(MIN_PIECE, len(parts[0]))
    made = [_fill(size, part, length) for part in parts]
    return [made[p * accumulate : (p + 1) * accumulate] for p in range(processes)]


def _fill(size: int, part: Rows, length: int) -> Piece:
    # Fillers come from the other end of the step, so that a short piece is not the same row over and over.
    filler = np.resize(np.arange(size)[::-1], length - len(part))
    return Piece(np.concatenate([part, filler]).astype(np.int64), np.arange(length) < len(part))
