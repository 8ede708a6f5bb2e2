"""The rows that one head is fitted on, and the parts of their people between which its strength is chosen.

N rows, D features, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskcls.labels import Ints
from maskcls.nn.fitting.fitted_head import Wide

ALWAYS = -1  # the part of rows that are in every fit
PARTS = 4  # of the people of rows that have no folds


@dataclass(frozen=True, eq=False)
class HeadRows:
    """Labelled training rows of one head.

    feature_ND  float64, standardised. label_N: int64, 0 to classes - 1.
    weight_N    float64, above 0, in a fit; choice_weight_N: where a strength is chosen.
    part_N      int64; all rows of a person are in one part, or ALWAYS.
    row_N       int64, the rows among all of the fold, which `feature_ND` is a function of.
    """

    feature_ND: Wide
    label_N: Ints
    weight_N: Wide
    choice_weight_N: Wide
    part_N: Ints
    row_N: Ints
    classes: int

    @property
    def parts(self) -> tuple[int, ...]:
        """The numbers of the parts, in order, without ALWAYS."""
        return tuple(part for part in np.unique(self.part_N).tolist() if part != ALWAYS)


def balanced_weights(label_N: Ints, weight_N: Wide, balance: float) -> Wide:
    """Return the weight (N,) of each row, of mean 1: its own, times n ** -balance for the n rows of its class.

    balance  0: as the rows are; 1: every class that occurs has the same sum.

    >>> balanced_weights(np.array([0, 0, 1]), np.ones(3), 1.0).tolist()
    [0.75, 0.75, 1.5]
    """
    sum_C = np.bincount(label_N, weights=weight_N)
    scaled_N = weight_N * sum_C[label_N] ** -balance
    return np.asarray(scaled_N / scaled_N.mean())


def people_parts(person_N: Ints, fold_N: Ints, seed: int) -> Ints:
    """Return the part (N,) of each row: its fold, or a part of the people where these rows have fewer than two folds.

    fold_N  -1 for rows that are only trained on; they are in ALWAYS, unless the people are divided here.
    seed    of the order in which people are divided, into PARTS parts or as many as there are people.
    """
    if len(np.unique(fold_N[fold_N >= 0])) > 1:
        return np.where(fold_N >= 0, fold_N, ALWAYS).astype(np.int64)
    people, place_N = np.unique(person_N, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(people))
    part_P = np.empty(len(people), dtype=np.int64)
    part_P[order] = np.arange(len(people)) % PARTS
    return np.asarray(part_P[place_N])
