"""Pairs of photos that may be copies: for each photo, those whose hash differs least from that of one of its windows.

N photos, W windows. Distances are computed in blocks of rows, so memory grows with N, and time with N squared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskcls.data.duplicates.hashes import MIRRORED, WHOLE, signs
from maskcls.data.photos.rgb import Pixels
from maskcls.labels import Ints

NEAREST = 8  # per photo: this many of other people, and this many of the same person
ROWS = 128  # of a block; a block of 50,000 photos takes 26 MB
BITS = 256


@dataclass(frozen=True)
class Candidates:
    """P pairs of rows, no pair of rows twice with one window.

    whole_P   (P,) int64, the row whose window is compared.
    part_P    (P,) int64, the row that may be a copy of that window.
    window_P  (P,) int64, number of the window in `hashes.WINDOWS`.
    """

    whole_P: Ints
    part_P: Ints
    window_P: Ints

    def plus(self, other: Candidates) -> Candidates:
        """Return the pairs of both, each once."""
        pairs = [(one.whole_P, one.part_P, one.window_P) for one in (self, other)]
        columns = np.unique(np.concatenate([np.stack(one, axis=1) for one in pairs]), axis=0)
        return Candidates(columns[:, 0], columns[:, 1], columns[:, 2])


def hash_candidates(
    hash_NWB: Pixels, person_N: Ints, *, on_progress: Callable[[int], None] = lambda done: None
) -> Candidates:
    """Return for each photo the NEAREST photos of other people, and of the same person, by their hashes.

    hash_NWB     (N, W, 32) uint8, see `hashes.window_hashes`.
    person_N     (N,) int64, a number per person; rows of unknown person have numbers of their own.
    on_progress  called with the number of rows done so far.
    """
    whole_N = signs(hash_NWB[:, WHOLE])
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(hash_NWB), ROWS):
        rows = np.arange(start, min(start + ROWS, len(hash_NWB)))
        best_RN, window_RN = nearest_windows(hash_NWB[rows], whole_N)
        best_RN[np.arange(len(rows)), rows] = -np.inf  # a photo is no candidate of its own
        same_RN = person_N[rows][:, np.newaxis] == person_N[np.newaxis]
        for allowed_RN in (same_RN, ~same_RN):
            near = _highest(np.where(allowed_RN, best_RN, -np.inf))
            found.append(np.stack([rows[near[0]], near[1], window_RN[near]], axis=1))
        on_progress(len(rows) + start)
    pairs = np.concatenate(found) if found else np.empty((0, 3), np.int64)
    return Candidates(pairs[:, 0], pairs[:, 1], pairs[:, 2])


def embedding_candidates(embedding_ND: NDArray[np.float32], person_N: Ints) -> Candidates:
    """Return for each photo the NEAREST photos of other people by the cosine of their embeddings, mirrored or not.

    embedding_ND  (N, D) float32; rows of zeros are no candidates.
    """
    length_N = np.linalg.norm(embedding_ND, axis=1, keepdims=True)
    unit_ND = embedding_ND / np.maximum(length_N, 1e-12)
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(unit_ND), ROWS):
        rows = np.arange(start, min(start + ROWS, len(unit_ND)))
        other_RN = (person_N[rows][:, np.newaxis] != person_N[np.newaxis]) & (length_N[:, 0] > 0)
        near = _highest(np.where(other_RN, unit_ND[rows] @ unit_ND.T, -np.inf))
        for window in (WHOLE, MIRRORED):
            found.append(np.stack([rows[near[0]], near[1], np.full(len(near[0]), window)], axis=1))
    pairs = np.concatenate(found) if found else np.empty((0, 3), np.int64)
    return Candidates(pairs[:, 0], pairs[:, 1], pairs[:, 2])


def hash_distance(first: Pixels, second: Pixels) -> int:
    """Return the number of differing bits, 0..256, of two hashes uint8 (32,)."""
    return int(np.bitwise_count(first ^ second).sum())


def nearest_windows(hash_RWB: Pixels, whole_NC: NDArray[np.float32]) -> tuple[NDArray[np.float32], Ints]:
    """Return the highest dot product (R, N) float32 over the windows, and its window (R, N) int64."""
    best = np.full((len(hash_RWB), len(whole_NC)), -np.inf, np.float32)
    number = np.zeros(best.shape, np.int64)
    for window in range(hash_RWB.shape[1]):
        dot = signs(hash_RWB[:, window]) @ whole_NC.T  # exact: whole numbers up to 256
        better = dot > best
        best[better], number[better] = dot[better], window
    return best, number


def _highest(value_RN: NDArray[np.float32]) -> tuple[Ints, Ints]:
    """Return (row, column) of the NEAREST highest values of each row, without those of -inf."""
    count = min(NEAREST, value_RN.shape[1])
    column = np.argpartition(-value_RN, count - 1, axis=1)[:, :count]
    row = np.repeat(np.arange(len(value_RN)), count)
    flat = column.ravel()
    there = np.isfinite(value_RN[row, flat])
    return row[there], flat[there]
