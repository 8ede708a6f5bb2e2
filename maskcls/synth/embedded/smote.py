"""SMOTE between people: examples on the segment between the embeddings of two people with the same labels.

Source: Chawla, Bowyer, Hall and Kegelmeyer 2002, arXiv:1106.1813. There the partner may be any near example of the
class; here it is never a photo of the same person, as photos of one person are no independent examples.

N photos, D features, M examples, Q neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from maskcls.data.views.keyed_random import uniforms
from maskcls.labels import Floats, Ints
from maskcls.synth.embedded.nearest_people import nearest_of_others


@dataclass(frozen=True)
class Interpolated:
    """Examples between two photos.

    feature_MD  float32: (1 - share) of the first parent and share of the second.
    label_M     int64, joint class of both parents.
    parents_M2  int64, the parents as places in the features that were given.
    share_M     float64 in [0, 1).
    """

    feature_MD: Floats
    label_M: Ints
    parents_M2: Ints
    share_M: np.ndarray[tuple[int], np.dtype[np.float64]]


def interpolate(
    feature_ND: Floats,
    label_N: Ints,
    person_N: Ints,
    *,
    counts: Mapping[int, int],
    neighbours: int,
    seed: int,
    fold: int,
) -> Interpolated:
    """Return so many examples of every joint class, in the order of the classes.

    label_N     int64, joint classes; -1: a photo with an unknown label, which is no parent.
    counts      {joint class: number of examples}. A class whose photos are of fewer than two people gets none.
    neighbours  the partner is drawn from so many nearest photos of other people with the same joint class.

    The n-th example of a class is a function of (seed, fold, class, n) and of the photos: the number asked for, and
    the other classes, change none. The first parent is a photo of a person drawn uniformly, and then one of the photos
    of the class that the person has.
    """
    parts = [
        _of_class(feature_ND, np.flatnonzero(label_N == label), person_N, label, counts[label], neighbours, seed, fold)
        for label in sorted(counts)
    ]
    label_M = np.repeat(np.array(sorted(counts), dtype=np.int64), [len(parents) for parents, _ in parts])
    parents_M2 = np.concatenate([np.zeros((0, 2), np.int64), *(parents for parents, _ in parts)])
    share_M = np.concatenate([np.zeros(0), *(share for _, share in parts)])
    first_MD, second_MD = (feature_ND[parents_M2[:, side]].astype(np.float64) for side in (0, 1))
    feature_MD = first_MD + share_M[:, None] * (second_MD - first_MD)
    return Interpolated(feature_MD.astype(np.float32), label_M, parents_M2, share_M)


def _of_class(
    feature_ND: Floats, rows_K: Ints, person_N: Ints, label: int, count: int, neighbours: int, seed: int, fold: int
) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return parents (count, 2) and shares (count,) of one class; none where its photos are of one person."""
    people, who_K = np.unique(person_N[rows_K], return_inverse=True)
    if len(people) < 2:
        return np.zeros((0, 2), dtype=np.int64), np.zeros(0)
    near_KQ = nearest_of_others(feature_ND, person_N, rows_K, rows_K, neighbours)
    # One stream per fold and class, one key per example. A fold of -1 is all rows, so that 1 is added.
    stream = np.full(count, (fold + 1) * 1_000_003 + label, dtype=np.int64)
    draw_n4 = uniforms(seed, stream, np.arange(count, dtype=np.uint64), 4)
    places_of = [np.flatnonzero(who_K == one) for one in range(len(people))]
    parents, share = np.zeros((count, 2), dtype=np.int64), draw_n4[:, 3]
    for n, (of_people, of_photos, of_partners, _) in enumerate(draw_n4):
        own = places_of[int(of_people * len(people))]
        place = own[int(of_photos * len(own))]
        partners = near_KQ[place][near_KQ[place] >= 0]
        parents[n] = rows_K[place], partners[int(of_partners * len(partners))]
    return parents, share
