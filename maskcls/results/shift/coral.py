"""CORAL: the features of photos to predict get the mean and the covariance of features without the shift.

N photos (with several views each, every view counts), D features.

Reference: Sun, Feng and Saenko 2016, "Return of Frustratingly Easy Domain Adaptation", arXiv:1511.05547. There the
features of both sets are standardised before, which also makes their means equal; here the means are part of the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

FLOOR = 1e-12  # of a variance, as a share of the mean variance of the features
FAR = 2.0  # times the median distance from the middle: beyond it, features are pulled in


@dataclass(frozen=True, eq=False)
class FeatureMoments:
    """The number of feature vectors, their mean (D,), and their covariance (D, D), divided by that number."""

    count: int
    mean_D: Doubles
    cov_DD: Doubles

    @staticmethod
    def of(feature_ND: NDArray[Any]) -> FeatureMoments:
        """Return the moments of features (N, D)."""
        feature_ND = np.asarray(feature_ND, np.float64)
        mean_D = feature_ND.mean(axis=0)
        centred_ND = feature_ND - mean_D
        return FeatureMoments(len(feature_ND), mean_D, centred_ND.T @ centred_ND / len(feature_ND))


def pulled_in(feature_ND: NDArray[Any]) -> Doubles:
    """Return features (N, D) of which none is further than FAR median distances from the middle of all.

    The middle is the median of each feature, distances are Euclidean. What is further keeps its direction. A network
    may have features of a few photos that are a thousand times as large as those of all others; without this, the
    moments would be those of these few.

    Reference: the Winsor function of Raymaekers and Rousseeuw 2019, "A generalized spatial sign covariance matrix",
    arXiv:1805.01417, with another limit.

    >>> pulled_in(np.array([[0.0], [1.0], [2.0], [3.0], [100.0]]))[:, 0].tolist()  # distances 2, 1, 0, 1, 98
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    feature_ND = np.asarray(feature_ND, np.float64)
    away_ND = feature_ND - np.median(feature_ND, axis=0)
    distance_N = np.linalg.norm(away_ND, axis=1)
    far_N = distance_N > FAR * np.median(distance_N)
    pulled_ND: Doubles = feature_ND.copy()
    pulled_ND[far_N] -= away_ND[far_N] * (1 - FAR * np.median(distance_N) / distance_N[far_N, None])
    return pulled_ND


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """The map x -> x @ matrix + bias of features: matrix (D, D) and bias (D,), float64."""

    matrix_DD: Doubles
    bias_D: Doubles

    def __call__(self, feature_ND: NDArray[Any]) -> Doubles:
        """Return the mapped features (N, D)."""
        mapped_ND: Doubles = np.asarray(feature_ND, np.float64) @ self.matrix_DD + self.bias_D
        return mapped_ND


def coral_shrinkage(photos: int, features: int) -> float:
    """Return the share of the covariance that is replaced by the mean variance on the diagonal: D / (D + N).

    A covariance of D features has about D times as many numbers as N photos have vectors; with as many photos as
    features both parts count half, with few photos only the total variance is adapted.

    >>> coral_shrinkage(100, 300)
    0.75
    """
    return features / (features + photos)


def coral_map(source: FeatureMoments, new: FeatureMoments, *, shrinkage: float) -> FeatureMap:
    """Return the map that whitens the features of the photos to predict, and colours them as the source's features.

    x -> (x - new mean) @ new^(-1/2) @ source^(1/2) + source mean, with symmetric roots. Equal moments give the
    identity.

    source, new  of features of the same network, of photos that it has not seen; new: of the photos to predict.
    shrinkage    in [0, 1], the same for both covariances C: (1 - s) C + s mean(diag C) I.

    Raises ValueError for other numbers of features, or a shrinkage outside [0, 1].

    >>> one, two = FeatureMoments.of(np.array([[0.0], [2.0]])), FeatureMoments.of(np.array([[10.0], [14.0]]))
    >>> coral_map(one, two, shrinkage=0.0)(np.array([[10.0], [14.0]])).tolist()
    [[0.0], [2.0]]
    """
    if source.cov_DD.shape != new.cov_DD.shape or not 0 <= shrinkage <= 1:
        raise ValueError(f"covariances {source.cov_DD.shape} and {new.cov_DD.shape}, shrinkage {shrinkage}")
    whiten_DD = _power(_shrunk(new.cov_DD, shrinkage), -0.5)
    matrix_DD = whiten_DD @ _power(_shrunk(source.cov_DD, shrinkage), 0.5)
    return FeatureMap(matrix_DD, source.mean_D - new.mean_D @ matrix_DD)


def _shrunk(cov_DD: Doubles, shrinkage: float) -> Doubles:
    mean_variance = float(np.trace(cov_DD)) / len(cov_DD)
    shrunk_DD: Doubles = (1 - shrinkage) * cov_DD + shrinkage * mean_variance * np.eye(len(cov_DD))
    return shrunk_DD


def _power(cov_DD: Doubles, exponent: float) -> Doubles:
    """Return a symmetric power; a direction without variance counts with almost none, so it stays as it is small."""
    value_D, vector_DD = np.linalg.eigh(cov_DD)
    value_D = np.maximum(value_D, FLOOR * max(float(value_D.mean()), FLOOR))
    power_DD: Doubles = (vector_DD * value_D**exponent) @ vector_DD.T
    return power_DD
