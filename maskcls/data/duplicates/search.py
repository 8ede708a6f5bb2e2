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
from maskcls.data.duplicates.threshold import LOWEST_COPIES, Threshold, fit_threshold
from maskcls.data.photos.rgb import Pixels
from maskcls.labels import Ints

UNKNOWN_PERSON = -1
MADE_FROM = 100  # photos that copies are made of, four of each
AT_ONCE = 4096  # pairs queued for the threads


@dataclass(frozen=True)
class NearPair:
    """Two rows, first < second, whose photos agree at least as much as the threshold of their kind asks for.

    rated  whether the number of false pairs is known for that threshold; if not, it comes from made copies alone.
    """

    first: int
    second: int
    score: float
    mirrored: bool
    rated: bool = True


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

    @property
    def least(self) -> float:
        """The score that all but a few of the copies reach; pairs above it may be copies."""
        return float(np.quantile(self.score_C, LOWEST_COPIES)) if len(self.score_C) else np.inf


def find_near_duplicates(
    pairs: ScoredPairs, person_N: Ints, copies: CopyScores, equal: set[tuple[int, int]]
) -> NearDuplicates:
    """Return the pairs above the thresholds that are fitted on these pairs.

    person_N  (N,) int64, -1 where it is not known. Of two people, and of a person and a photo of an unknown person,
              only the pair that agrees best needs the threshold for different people: if that pair is a copy, both show
              one person, and their other pairs are other shots of that person. Those, and pairs of two photos of
              unknown people, which may show one person, need the higher threshold.
    equal     pairs (first, second) with equal pixels; they are no near duplicates, and no part of the fit.
    """
    rows = zip(pairs.first_P.tolist(), pairs.second_P.tolist(), strict=True)
    unequal_P = np.array([pair not in equal for pair in rows], dtype=bool)
    left_P, right_P = person_N[pairs.first_P], person_N[pairs.second_P]
    known_P = (left_P != UNKNOWN_PERSON) & (right_P != UNKNOWN_PERSON) & unequal_P
    same_P = known_P & (left_P == right_P)
    other_P = known_P & (left_P != right_P) & ~_linked(left_P, right_P, pairs.score_P, copies.least)
    within_pairs, across_pairs = _pair_counts(person_N)
    within = _fitted(pairs.score_P[same_P], copies, within_pairs)
    across = _fitted(pairs.score_P[other_P], copies, across_pairs)
    scores = [one.score for one in (within, across) if one is not None]
    strict, mild = max(scores, default=np.inf), across.score if across else max(scores, default=np.inf)
    best_P = _best_of_people(pairs, person_N) & (left_P != right_P)
    chosen = np.flatnonzero((pairs.score_P >= np.where(best_P, mild, strict)) & unequal_P)
    chosen = chosen[np.argsort(-pairs.score_P[chosen], kind="stable")]
    rated_P = _rated(left_P, right_P, best_P, within, across)
    columns = (pairs.first_P, pairs.second_P, pairs.score_P, pairs.mirrored_P, rated_P)
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


def _linked(left_P: Ints, right_P: Ints, score_P: NDArray[np.float64], least: float) -> NDArray[np.bool_]:
    """Return which pairs (P,) are of people who may share photos: linked by pairs as similar as copies, in any number.

    Their other pairs can be shots of one person, so they say nothing about pairs of two people.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    people = int(max(left_P.max(initial=0), right_P.max(initial=0))) + 1
    link_P = (score_P >= least) & (left_P != right_P) & (np.minimum(left_P, right_P) >= 0)
    graph = coo_array((np.ones(int(link_P.sum())), (left_P[link_P], right_P[link_P])), shape=(people, people))
    group_P = connected_components(graph, directed=False)[1]
    return np.asarray(group_P[left_P] == group_P[right_P])


def _best_of_people(pairs: ScoredPairs, person_N: Ints) -> NDArray[np.bool_]:
    """Return which pairs (P,) are the best of their two people; rows of unknown people count as people of their own."""
    own_N = np.where(person_N == UNKNOWN_PERSON, person_N.max(initial=0) + 1 + np.arange(len(person_N)), person_N)
    both_P2 = np.sort(np.stack([own_N[pairs.first_P], own_N[pairs.second_P]], axis=1), axis=1)
    order = np.lexsort((-pairs.score_P, both_P2[:, 1], both_P2[:, 0]))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (both_P2[order][1:] != both_P2[order][:-1]).any(axis=1)
    best_P = np.zeros(len(order), dtype=bool)
    best_P[order[first]] = True
    unknown_P = (person_N[pairs.first_P] == UNKNOWN_PERSON) & (person_N[pairs.second_P] == UNKNOWN_PERSON)
    return np.asarray(best_P & ~unknown_P, dtype=bool)


def _rated(
    left_P: Ints, right_P: Ints, best_P: NDArray[np.bool_], within: Threshold | None, across: Threshold | None
) -> NDArray[np.bool_]:
    """Return for which pairs (P,) of people the number of false pairs is known; `best_P`: those that need `across`.

    A pair of two unknown people may be of either kind, so both numbers must be known.
    """
    within_known, across_known = (one is None or one.false_pairs is not None for one in (within, across))
    one_person_P = (left_P == right_P) & (left_P != UNKNOWN_PERSON)
    two_people_P = best_P | ((left_P != right_P) & (np.minimum(left_P, right_P) != UNKNOWN_PERSON))
    either = within_known and across_known
    return np.where(one_person_P, within_known, np.where(two_people_P, across_known, either))


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
