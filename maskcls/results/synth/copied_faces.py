"""Which samples are copies of a training photo: they are as near to one as no two people are.

M samples, N training photos, D features.
"""

from __future__ import annotations

import numpy as np

from maskcls.labels import Floats, Ints
from maskcls.results.scores.metrics import Doubles

BLOCK = 512  # rows whose distances to all photos are in memory at once


def nearest_photos(feature_MD: Floats, photo_ND: Floats) -> tuple[Doubles, Ints]:
    """Return the Euclidean distance (M,) of each row to its nearest photo, and which photo (M,) int64 that is.

    In double precision. Of equally near photos the first counts; without photos the distance is inf, the photo -1.

    >>> distance_M, row_M = nearest_photos(np.array([[0.0, 3.0]]), np.array([[9.0, 9.0], [4.0, 0.0]]))
    >>> distance_M.tolist(), row_M.tolist()
    ([5.0], [1])
    """
    return _nearest(feature_MD, photo_ND, None, None)


def copy_limit(photo_ND: Floats, person_N: Ints, share: float) -> float:
    """Return the distance below which a sample is a copy: few photos of two people are nearer to each other.

    person_N  int64, the person on each photo.
    share     in [0, 1]: the share of the photos whose nearest photo of another person is nearer than the distance
              returned. 0: no sample is a copy, the distance is 0.

    Reference: the distance to the nearest neighbour, compared with that among real photos, as in Meehan, Chaudhuri and
    Dasgupta 2020, "A non-parametric test to detect data-copying in generative models", arXiv:2004.05675.

    >>> photos_ND, people_N = np.array([[0.0], [1.0], [10.0], [14.0]]), np.array([0, 0, 1, 2])
    >>> copy_limit(photos_ND, people_N, 0.5)  # to other people: 10, 9, 4, 4
    6.5
    """
    if not share or not len(photo_ND):
        return 0.0
    distance_N = to_other_people(photo_ND, person_N)
    between_N = distance_N[np.isfinite(distance_N)]
    return float(np.quantile(between_N, share)) if len(between_N) else 0.0


def to_other_people(photo_ND: Floats, person_N: Ints) -> Doubles:
    """Return the distance (N,) from each photo to the nearest photo of another person; inf where there is none."""
    return _nearest(photo_ND, photo_ND, person_N, person_N)[0]


def _nearest(
    feature_MD: Floats, photo_ND: Floats, person_M: Ints | None, person_N: Ints | None
) -> tuple[Doubles, Ints]:
    """Return distance and place of the nearest photo of another person, or of anybody where no people are given."""
    wide_ND = photo_ND.astype(np.float64)
    distance_M, row_M = np.full(len(feature_MD), np.inf), np.full(len(feature_MD), -1, dtype=np.int64)
    for start in range(0, len(feature_MD) if len(wide_ND) else 0, BLOCK):
        part = slice(start, start + BLOCK)
        wide_BD = feature_MD[part].astype(np.float64)
        square_BN = (wide_BD**2).sum(axis=1)[:, None] - 2 * wide_BD @ wide_ND.T + (wide_ND**2).sum(axis=1)
        if person_M is not None and person_N is not None:
            square_BN[person_M[part][:, None] == person_N] = np.inf
        row_B = square_BN.argmin(axis=1)
        found_B = np.isfinite(square_BN[np.arange(len(row_B)), row_B])
        # Again as differences, as those of near rows are lost in the difference of squares.
        distance_M[part] = np.where(found_B, np.sqrt(((wide_BD - wide_ND[row_B]) ** 2).sum(axis=1)), np.inf)
        row_M[part] = np.where(found_B, row_B, -1)
    return distance_M, row_M
