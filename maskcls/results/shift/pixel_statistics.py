"""Differences of simple figures, such as brightness, between two parts of a data set, by person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.comparison.multiple import holm

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PixelDifference:
    """One figure in two parts: means over people, their difference in standard deviations over people, p by Holm."""

    name: str
    first: float
    second: float
    difference_sd: float
    p: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def pixel_differences(
    values: Mapping[str, NDArray[Any]], second_N: Mask, person_N: Ints
) -> tuple[PixelDifference, ...]:
    """Compare figures of photos between two parts, by Welch's t-test on the people's means.

    values    figures (N,) by name.
    second_N  (N,) bool, the rows of the second part.
    person_N  (N,) int64, a number per person; no person is in both parts.

    p values are corrected for the number of figures (Holm); a figure that is the same for everybody has p = 1, and so
    has each where a part has fewer than 2 people.
    """
    who_N = np.unique(person_N, return_inverse=True)[1]
    photos_P = np.bincount(who_N)
    second_P = np.bincount(who_N, weights=second_N) > 0
    means = {name: np.bincount(who_N, weights=np.asarray(one, np.float64)) / photos_P for name, one in values.items()}
    found = [_compared(mean_P[~second_P], mean_P[second_P]) for mean_P in means.values()]
    corrected = holm([one[3] for one in found])
    return tuple(PixelDifference(name, *one[:3], p) for name, one, p in zip(means, found, corrected, strict=True))


def _compared(first_P: NDArray[np.float64], second_P: NDArray[np.float64]) -> tuple[float, float, float, float]:
    from scipy.stats import t

    means = float(first_P.mean()), float(second_P.mean())
    spread = float(np.concatenate([first_P - means[0], second_P - means[1]]).std())
    if min(len(first_P), len(second_P)) < 2 or spread < 1e-9:
        equal = abs(means[1] - means[0]) < 1e-9
        return *means, 0.0 if equal else float(np.inf), 1.0 if equal or spread >= 1e-9 else 0.0
    # By hand: scipy's function warns where the values of one part are nearly equal, as sizes are.
    error_1, error_2 = (float(one.var(ddof=1)) / len(one) for one in (first_P, second_P))
    freedom = (error_1 + error_2) ** 2 / (error_1**2 / (len(first_P) - 1) + error_2**2 / (len(second_P) - 1))
    p = 2 * float(t.sf(abs(means[1] - means[0]) / np.sqrt(error_1 + error_2), freedom))
    return *means, (means[1] - means[0]) / spread, p
