"""Copies of photos in proportion to how hard they are: the control for every generator.

Source: the density of ADASYN, He, Bai, Garcia and Li 2008, "ADASYN: Adaptive synthetic sampling approach for imbalanced
learning" (IJCNN), step 3 to 5. ADASYN interpolates; here the photo itself is repeated, and neighbours are photos of
other people, as photos of one person are always near and have the same labels of the person.

N photos, K of one class, Q neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats, Ints
from maskcls.synth.embedded.nearest_people import nearest_of_others


def difficulties(
    feature_ND: Floats, label_N: Ints, person_N: Ints, rows_K: Ints, *, neighbours: int
) -> NDArray[np.float64]:
    """Return for photos (K,) the share of their nearest photos of other people that have another joint class.

    label_N  int64, joint classes; -1: unknown, a photo that is no neighbour.
    rows_K   int64, the photos as places in the features.

    A photo without a neighbour has 0.
    """
    known = np.flatnonzero(label_N >= 0)
    near_KQ = nearest_of_others(feature_ND, person_N, rows_K, known, neighbours)
    real_KQ = near_KQ >= 0
    other_KQ = real_KQ & (label_N[near_KQ] != label_N[rows_K][:, None])
    return np.asarray(other_KQ.sum(axis=1) / np.maximum(1, real_KQ.sum(axis=1)), dtype=np.float64)


def shared_out(total: int, size_K: NDArray[np.float64]) -> Ints:
    """Divide a whole number in proportion to sizes (K,), none negative, as whole numbers (K,) int64 with this sum.

    Each is the exact share rounded down or up; up go the largest remainders, of equal ones the first (Hamilton's
    method). All sizes 0: equal shares.

    >>> shared_out(7, np.array([1.0, 1.0, 0.0, 2.0])).tolist()
    [2, 2, 0, 3]
    """
    even_K = size_K if size_K.sum() > 0 else np.ones(len(size_K))
    exact_K = total * even_K / even_K.sum()
    count_K: Ints = np.floor(exact_K).astype(np.int64)
    up = np.argsort(-(exact_K - count_K), kind="stable")[: total - int(count_K.sum())]
    count_K[up] += 1
    return count_K


def copied_photos(
    feature_ND: Floats, label_N: Ints, person_N: Ints, *, counts: Mapping[int, int], neighbours: int
) -> Ints:
    """Return the photos (M,) int64 to repeat, as places in the features; a photo occurs as often as it is repeated.

    counts      {joint class: number of copies}; a class without photos gets none.
    neighbours  of the difficulty, see `difficulties`.

    Nothing is drawn. The copies of a class are divided among its photos in proportion to their difficulty.
    """
    found = [np.zeros(0, dtype=np.int64)]
    for label in sorted(counts):
        rows_K = np.flatnonzero(label_N == label)
        if len(rows_K):
            hard_K = difficulties(feature_ND, label_N, person_N, rows_K, neighbours=neighbours)
            found.append(np.repeat(rows_K, shared_out(counts[label], hard_K)))
    return np.concatenate(found)
