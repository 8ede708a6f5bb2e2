"""Photos of different names that are the same photo, or of the same person, found by their descriptors.

N photos, D numbers per descriptor. A distance is the root mean square difference of two descriptors. How close is close
depends on the data set, so distances are compared with those to typical photos of other names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats, Ints
from maskcls.results.scores.metrics import Doubles

# Of the typical distance to a photo of another person. A photo that was saved again, resized or slightly cropped has
# 0.02 to 0.15; the nearest of thousands of photos of other people has 0.26 and more (real and drawn faces).
COPY = 0.2
# Share of the photos whose nearest photo of another name is nearer than the nearest one of its own name. Measured: 2 to
# 11 % where names are people, 40 % and more where each person has two names.
TWO_NAMES = 0.2
BLOCK = 512


@dataclass(frozen=True)
class ClosePhotos:
    """What the distances between photos say about their names.

    copies      (row, row) of two folds whose photos are the same up to size, quality and a small crop.
    nearer      share of the photos of people with several photos whose nearest photo has another name; NaN without such
                people.
    compared    number of these photos.
    """

    copies: tuple[tuple[int, int], ...]
    nearer: float
    compared: int


def close_photos(descriptor_ND: Floats, person_N: Ints, fold_N: Ints) -> ClosePhotos:
    """Compare every photo with all photos of other names.

    person_N  a number for each photo's person; fold_N: its fold.
    """
    copies: list[tuple[int, int]] = []
    nearer: list[NDArray[np.bool_]] = []
    for rows, distance_RN in _distances(descriptor_ND):
        same_RN = person_N[rows][:, None] == person_N
        other_RN = np.where(same_RN, np.inf, distance_RN)
        typical_R = np.nanmedian(np.where(same_RN, np.nan, distance_RN), axis=1)
        own_RN = np.where(same_RN, distance_RN, np.inf)
        own_RN[np.arange(len(rows)), rows] = np.inf
        own_R, near_R = own_RN.min(axis=1), other_RN.min(axis=1)
        several = np.isfinite(own_R)
        nearer.append(near_R[several] < own_R[several])
        apart_RN = np.where(fold_N[rows][:, None] == fold_N, np.inf, other_RN)
        place_R = apart_RN.argmin(axis=1)
        close_R = apart_RN[np.arange(len(rows)), place_R] < COPY * typical_R
        copies += [(int(rows[i]), int(place_R[i])) for i in np.flatnonzero(close_R)]
    shares = np.concatenate(nearer)
    pairs = sorted({(min(pair), max(pair)) for pair in copies})
    return ClosePhotos(tuple(pairs), float(shares.mean()) if len(shares) else float("nan"), len(shares))


def _distances(descriptor_ND: Floats) -> Iterator[tuple[Ints, Doubles]]:
    """Yield blocks of rows with their distances to all photos, (R,) and (R, N)."""
    wide = descriptor_ND.astype(np.float64)
    square_N = (wide**2).sum(axis=1)
    for first in range(0, len(wide), BLOCK):
        rows = np.arange(first, min(first + BLOCK, len(wide)))
        squares = square_N[rows][:, None] + square_N - 2 * wide[rows] @ wide.T
        yield rows, np.sqrt(np.maximum(squares, 0) / wide.shape[1])
