"""Search a set of photos for near duplicates: candidates by hash, their agreement, and a threshold fitted on them.

N photos, W windows, S side of a thumbnail in pixels, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskcls.data.duplicates.agreement import agreement
from maskcls.data.duplicates.candidates import NEAREST, Candidates, nearest_windows
from maskcls.data.duplicates.hashes import MIRRORED, WHOLE, signs, thumbnail, window_hashes
from maskcls.data.duplicates.made_copies import made_copies
from maskcls.data.duplicates.threshold import Threshold, fit_threshold
from maskcls.data.photos.rgb import Pixels
from maskcls.labels import Ints

UNKNOWN_PERSON = -1
MADE_FROM = 100  # photos that copies are made of, four of each
AT_ONCE = 4096  # pairs queued for the threads


@dataclass(frozen=True)
class NearPair:
    """Two rows, first < second, whose photos agree at least as much as the threshold of their kind asks for."""

    first: int
    second: int
    score: float
    mirrored: bool


@dataclass(frozen=True, eq=False)
class NearDuplicates:
    """Pairs by falling score, and the thresholds of pairs of different people, and of one person (None: no such)."""

    pairs: tuple[NearPair, ...]
    across: Threshold | None
    within: Threshold | None


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """P pairs of rows, first < second, each once, with the best score of its windows."""

    first_P: Ints
    second_P: Ints
    score_P: NDArray[np.float64]
    mirrored_P: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CopyScores:
    """C made copies: their score with their original, and whether the hashes proposed that pair."""

    score_C: NDArray[np.float64]
    found_C: NDArray[np.bool_]


def find_near_duplicates(
    pairs: ScoredPairs, person_N: Ints, copies: CopyScores, equal: set[tuple[int, int]]
) -> NearDuplicates:
    """Return the pairs above the thresholds that are fitted on these pairs.

    person_N  (N,) int64, -1 where it is not known: such a row is compared with known people as with other people, and
              with each other by the higher threshold, because several of them may show one person.
    equal     pairs (first, second) with equal pixels; they are no near duplicates, and no part of the fit.
    """
    left_P, right_P = person_N[pairs.first_P], person_N[pairs.second_P]
    unequal_P = np.array(
        [pair not in equal for pair in zip(pairs.first_P.tolist(), pairs.second_P.tolist(), strict=True)], bool
    )
    known_P = (left_P != UNKNOWN_PERSON) & (right_P != UNKNOWN_PERSON)
    same_P, other_P = known_P & (left_P == right_P) & unequal_P, known_P & (left_P != right_P) & unequal_P
    within_pairs, across_pairs = _pair_counts(person_N)
    within = _fitted(pairs.score_P[same_P], copies, within_pairs)
    across = _fitted(pairs.score_P[other_P], copies, across_pairs)
    least_P = np.full(len(left_P), across.score if across else np.inf)
    nobody_P = (left_P == UNKNOWN_PERSON) & (right_P == UNKNOWN_PERSON)
    strict = within or across
    least_P[nobody_P | same_P] = max(strict.score, across.score if across else 0.0) if strict else np.inf
    chosen = np.flatnonzero((pairs.score_P >= least_P) & unequal_P)
    chosen = chosen[np.argsort(-pairs.score_P[chosen], kind="stable")]
    columns = (pairs.first_P, pairs.second_P, pairs.score_P, pairs.mirrored_P)
    found = tuple(NearPair(*values) for values in zip(*(one[chosen].tolist() for one in columns), strict=True))
    return NearDuplicates(found, across, within)


def score_pairs(
    candidates: Candidates,
    thumbnail_NSS: Pixels,
    *,
    threads: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> ScoredPairs:
    """Return the agreement of all candidates, the best one for each pair of rows."""
    score_P = np.empty(len(candidates.whole_P))

    def score(place: int) -> None:
        whole, part, window = (one[place] for one in (candidates.whole_P, candidates.part_P, candidates.window_P))
        score_P[place] = agreement(thumbnail_NSS[whole], thumbnail_NSS[part], int(window))

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(score_P), AT_ONCE):
            places = range(start, min(start + AT_ONCE, len(score_P)))
            for _ in pool.map(score, places, chunksize=64):
                pass
            on_progress(places.stop)
    return _best_of_each(candidates, score_P)


def score_copies(
    sample: Sequence[tuple[int, Pixels]], thumbnail_NSS: Pixels, hash_NWB: Pixels, person_N: Ints, *, seed: int
) -> CopyScores:
    """Make copies of photos, and search each as if it were a photo of another person.

    sample    rows with their photos, uint8 RGB (H, W, 3).
    person_N  (N,) int64, the photos of one person have one number; others have numbers of their own.
    seed      of the copies.

    A copy is proposed if it is among the NEAREST photos of other people that the search finds for the original, or the
    original among those of the copy.
    """
    rng = np.random.default_rng(seed)
    whole_N = signs(hash_NWB[:, WHOLE])
    scores, found = [], []
    for row, image in sample:
        others_N = person_N != person_N[row]
        rivals_N = nearest_windows(hash_NWB[row : row + 1], whole_N)[0][0, others_N]
        for _, copy in made_copies(image, rng):
            small = thumbnail(copy)
            hash_WB = window_hashes(small)
            as_part, window = nearest_windows(hash_NWB[row : row + 1], signs(hash_WB[WHOLE : WHOLE + 1]))
            as_whole_N, window_N = (one[0] for one in nearest_windows(hash_WB[np.newaxis], whole_N))
            ranks = ((rivals_N > as_part[0, 0]).sum(), (as_whole_N[others_N] > as_whole_N[row]).sum())
            found.append(min(ranks) < NEAREST)
            scores.append(
                max(
                    agreement(thumbnail_NSS[row], small, int(window[0, 0])),
                    agreement(small, thumbnail_NSS[row], int(window_N[row])),
                )
            )
    return CopyScores(np.array(scores), np.array(found, dtype=bool))


def _best_of_each(candidates: Candidates, score_P: NDArray[np.float64]) -> ScoredPairs:
    first_P = np.minimum(candidates.whole_P, candidates.part_P)
    second_P = np.maximum(candidates.whole_P, candidates.part_P)
    order = np.lexsort((-score_P, second_P, first_P))
    pair_P2 = np.stack([first_P, second_P], axis=1)[order]
    new_P = np.ones(len(order), dtype=bool)
    new_P[1:] = (pair_P2[1:] != pair_P2[:-1]).any(axis=1)
    kept = order[new_P]
    return ScoredPairs(first_P[kept], second_P[kept], score_P[kept], candidates.window_P[kept] >= MIRRORED)


def _fitted(natural_P: NDArray[np.float64], copies: CopyScores, pairs: int) -> Threshold | None:
    """Return the threshold for pairs of one kind; None if there are no such pairs."""
    if not pairs or not len(copies.score_C):
        return None
    return fit_threshold(natural_P, copies.score_C, pairs=pairs, found_C=copies.found_C)


def _pair_counts(person_N: Ints) -> tuple[int, int]:
    """Count the pairs of rows of one known person, and of two known people."""
    photos_P = np.unique(person_N[person_N != UNKNOWN_PERSON], return_counts=True)[1].astype(np.int64)
    known = int(photos_P.sum())
    within = int((photos_P * (photos_P - 1) // 2).sum())
    return within, known * (known - 1) // 2 - within
