"""Sums over rows from which ridge regression and discriminant analysis are solved; those of several parts are added.

N rows, D features, C classes, P of them present.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskcls.labels import Ints
from maskcls.nn.fitting.fitted_head import Wide


@dataclass(frozen=True)
class SecondMoments:
    """gram_DD = sum of weight * x x^T over rows, all in float64."""

    gram_DD: Wide

    def __add__(self, other: SecondMoments) -> SecondMoments:
        return SecondMoments(self.gram_DD + other.gram_DD)


@dataclass(frozen=True)
class ClassMoments:
    """Weight and weighted feature sum of the rows of each class: weight_C, sum_CD, float64."""

    weight_C: Wide
    sum_CD: Wide

    def __add__(self, other: ClassMoments) -> ClassMoments:
        return ClassMoments(self.weight_C + other.weight_C, self.sum_CD + other.sum_CD)

    @property
    def present(self) -> Ints:
        """The classes with a weight, (P,) int64."""
        return np.flatnonzero(self.weight_C > 0)


def second_moments(feature_ND: Wide, weight_N: Wide) -> SecondMoments:
    """Return the second moments of rows with these weights."""
    return SecondMoments((feature_ND * weight_N[:, None]).T @ feature_ND)


def class_moments(feature_ND: Wide, weight_N: Wide, label_N: Ints, classes: int) -> ClassMoments:
    """Return the sums of each class. label_N: 0 to classes - 1."""
    member_CN = (label_N == np.arange(classes)[:, None]) * weight_N
    return ClassMoments(member_CN.sum(axis=1), member_CN @ feature_ND)
