"""Precision and recall of generated images: how many look like photos, and how many of the photos they cover.

M photos, N samples, D features.

Reference: Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative models",
arXiv:1904.06991. Each row has a ball that reaches to its k-th nearest neighbour; precision is the share of the samples
within a ball of any photo, recall the share of the photos within a ball of any sample. Here the neighbours are of other
people, because photos of one person are so similar that their balls would be tiny.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints

NEIGHBOURS = 3  # as in the paper
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Coverage:
    """precision: share of the samples, in [0, 1], that look like photos; recall: share of the photos they cover."""

    precision: float
    recall: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def coverage(
    photo_MD: NDArray[Any], sample_ND: NDArray[Any], person_M: Ints, person_N: Ints, *, neighbours: int = NEIGHBOURS
) -> Coverage | None:
    """Return precision and recall of samples; None where a part has too few people for `neighbours` of them.

    photo_MD, sample_ND  (M, D) and (N, D) float.
    person_M, person_N   (M,) and (N,) int64, a number per person; a sample without a parent is a person of its own.
    """
    parts = ((photo_MD, person_M), (sample_ND, person_N))
    if min(len(np.unique(person)) for _, person in parts) <= neighbours:
        return None
    reach_M, reach_N = (_reach(feature, person, neighbours) for feature, person in parts)
    between_MN = squared_distances(photo_MD, sample_ND)
    return Coverage(
        float((between_MN <= reach_M[:, None]).any(axis=0).mean()),
        float((between_MN <= reach_N[None]).any(axis=1).mean()),
    )


def squared_distances(first: NDArray[Any], second: NDArray[Any]) -> Doubles:
    """Return the squared Euclidean distances (M, N) between rows of two arrays (M, D) and (N, D); float64, from 0."""
    a_MD, b_ND = first.astype(np.float64), second.astype(np.float64)
    square = (a_MD**2).sum(axis=1)[:, None] + (b_ND**2).sum(axis=1)[None] - 2 * a_MD @ b_ND.T
    positive: Doubles = np.maximum(square, 0.0)  # rounding may leave less
    return positive


def _reach(feature_ND: NDArray[Any], person_N: Ints, neighbours: int) -> Doubles:
    """Return the squared distance (N,) from each row to the nearest photo of its k-th nearest other person."""
    square_NN = squared_distances(feature_ND, feature_ND)
    who_N = np.unique(person_N, return_inverse=True)[1]
    nearest_NP = np.full((len(who_N), int(who_N.max()) + 1), np.inf)
    for person in range(nearest_NP.shape[1]):
        nearest_NP[:, person] = square_NN[:, who_N == person].min(axis=1)
    nearest_NP[np.arange(len(who_N)), who_N] = np.inf
    return np.sort(nearest_NP, axis=1)[:, neighbours - 1]
