"""The nearest photos of other people. N photos, M of them searched, D features, Q neighbours."""

from __future__ import annotations

import numpy as np

from maskcls.labels import Floats, Ints

BLOCK = 512


def nearest_of_others(feature_ND: Floats, person_N: Ints, rows_M: Ints, among_K: Ints, count: int) -> Ints:
    """Return the photos (M, Q) int64 of other people that are nearest to the photos `rows_M`, the nearest first.

    rows_M, among_K  int64, photos as places in feature_ND: those whose neighbours are wanted, and those that may be
                     one.
    count            the most neighbours; Q is lower where fewer photos are there for some photo, then -1 fills the row.

    Distances are Euclidean, in double precision; of equally near photos the one that comes first in among_K is first.
    """
    wide_KD = feature_ND[among_K].astype(np.float64)
    square_K, width = (wide_KD**2).sum(axis=1), min(count, len(among_K))
    found_MQ = np.full((len(rows_M), width), -1, dtype=np.int64)
    for start in range(0, len(rows_M), BLOCK):
        rows_B = rows_M[start : start + BLOCK]
        wide_BD = feature_ND[rows_B].astype(np.float64)
        distance_BK = (wide_BD**2).sum(axis=1)[:, None] - 2 * wide_BD @ wide_KD.T + square_K
        distance_BK[person_N[rows_B][:, None] == person_N[among_K]] = np.inf
        order_BQ = np.argsort(distance_BK, axis=1, kind="stable")[:, :width]
        near_BQ = np.where(np.isinf(np.take_along_axis(distance_BK, order_BQ, axis=1)), -1, among_K[order_BQ])
        found_MQ[start : start + BLOCK] = near_BQ
    return found_MQ[:, : int((found_MQ >= 0).sum(axis=1).max(initial=0))]
