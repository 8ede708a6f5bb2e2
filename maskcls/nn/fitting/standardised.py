"""Features with mean 0 and standard deviation 1.

N rows, D features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskcls.nn.fitting.fitted_head import Wide

CONSTANT = 1e-12  # a standard deviation below this share of the mean is rounding


@dataclass(frozen=True)
class Standardised:
    """feature_ND = (raw features - mean_D) / deviation_D, float64; 0 in every row for a feature that does not vary."""

    feature_ND: Wide
    mean_D: Wide
    deviation_D: Wide


def standardised(raw_ND: Wide) -> Standardised:
    """Standardise features; one that does not vary says nothing, and its weight in a head stays 0."""
    mean_D, deviation_D = raw_ND.mean(axis=0), raw_ND.std(axis=0)
    deviation_D = np.where(deviation_D > CONSTANT * np.maximum(1, np.abs(mean_D)), deviation_D, np.inf)
    return Standardised((raw_ND - mean_D) / deviation_D, mean_D, deviation_D)
