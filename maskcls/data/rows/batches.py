"""How an epoch's rows are divided into optimizer steps, and a step into pieces, one per forward pass.

Everything is a pure function of (seed, epoch), so the loader can restart at any epoch, and the number of processes or
workers changes nothing. R training rows of a fold, S rows of a step, B rows of a piece.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

MIN_PIECE = 2


@dataclass(frozen=True)
class Piece:
    """The part of a step that one process computes in one forward pass.

    places  (B,) int64 indices of the step's rows.
    real    (B,) False for fillers; they have weight 0.
    """

    places: Rows
    real: NDArray[np.bool_]


def epoch_order(rows_R: Rows, *, seed: int, epoch: int) -> Rows:
    """Return the rows (R,) in the random order of this epoch."""
    return np.random.default_rng((seed, epoch)).permutation(rows_R)


def steps(order_R: Rows, batch_size: int) -> list[Rows]:
    """Divide the order into steps of `batch_size` rows; the last one may be shorter.

    >>> [s.tolist() for s in steps(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    return [order_R[i : i + batch_size] for i in range(0, len(order_R), batch_size)]


def pieces(size: int, *, processes: int, accumulate: int) -> list[list[Piece]]:
    """Divide a step of `size` rows among processes: pieces[p][a] is the piece of process p in its pass a.

    Every row is real in exactly one piece. All pieces of a step have the same length, at least two (normalisation
    over a batch of one is undefined); rows repeated to reach it are fillers.
    """
    parts = np.array_split(np.arange(size), processes * accumulate)
    length = max(MIN_PIECE, len(parts[0]))
    made = [_fill(size, part, length) for part in parts]
    return [made[p * accumulate : (p + 1) * accumulate] for p in range(processes)]


def _fill(size: int, part: Rows, length: int) -> Piece:
    # Fillers come from the end of the step, so that a short piece does not repeat one row many times.
    filler = np.resize(np.arange(size)[::-1], length - len(part))
    return Piece(np.concatenate([part, filler]).astype(np.int64), np.arange(length) < len(part))
