"""A classifier two-sample test: can photos of one part be told from those of the other, for people not seen before?

N photos, D features, B permutations.

Reference: Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests", arXiv:1610.06545. Photos of one person
are similar, so people, not photos, are divided into folds and permuted; with photos, every two sets of people would
differ.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.scores.ranking import roc_auc

FOLDS = 5
PERMUTATIONS = 199
RIDGE = 1.0  # penalty, in units of one person's worth of standardised features
AXES = 30  # most principal components
FEWEST_PEOPLE = 2 * FOLDS  # per part

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TwoSample:
    """The result of a two-sample test.

    auc            probability that a photo to predict gets a higher score than one trained on; 0.5: as by chance.
    chance         97.5 % quantile of that number when people are exchanged between the parts at random.
    p              share of random exchanges with at least this AUC.
    people         in both parts; photos: of both.
    """

    auc: float
    chance: float
    p: float
    people: int
    photos: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def two_sample_test(feature_ND: NDArray[Any], second_N: Mask, person_N: Ints, *, seed: int) -> TwoSample | None:
    """Test whether the two parts differ in their features, by ridge regression with folds of people.

    feature_ND  (N, D) float; standardised, and reduced to at most 30 principal components.
    second_N    (N,) bool, the rows of the second part.
    person_N    (N,) int64, a number per person; no person is in both parts.
    seed        of the folds and of the permutations.

    Returns None where a part has fewer than 10 people. Raises ValueError when a person is in both parts.
    """
    who_N = np.unique(person_N, return_inverse=True)[1]
    people = int(who_N.max(initial=-1)) + 1
    second_P = np.bincount(who_N, weights=second_N, minlength=people)
    photos_P = np.bincount(who_N, minlength=people)
    if ((second_P > 0) & (second_P < photos_P)).any():
        raise ValueError("a person is in both parts")
    label_P = second_P > 0
    if min(label_P.sum(), (~label_P).sum()) < FEWEST_PEOPLE:
        return None
    rng = np.random.default_rng(seed)
    labels_BP = np.stack([label_P, *(rng.permutation(label_P) for _ in range(PERMUTATIONS))])
    fold_P = _stratified(label_P, rng)
    score_NB = _held_out_scores(_axes(feature_ND), labels_BP[:, who_N].T, fold_P[who_N])
    auc_B = np.array([_auc(score_NB[:, b], labels_BP[b, who_N]) for b in range(len(labels_BP))])
    p = float((auc_B >= auc_B[0]).mean())  # the first one counts too, so p is at least 1 / (B + 1)
    return TwoSample(float(auc_B[0]), float(np.quantile(auc_B[1:], 0.975)), p, people, len(who_N))


def _axes(feature_ND: NDArray[Any]) -> Doubles:
    """Return the leading principal components of the standardised features, each of variance 1 at most, and ones."""
    value_ND = np.asarray(feature_ND, dtype=np.float64)
    spread_D = value_ND.std(axis=0)
    value_ND = (value_ND - value_ND.mean(axis=0)) / np.where(spread_D > 1e-9, spread_D, 1)
    size, axes_DD = np.linalg.eigh(value_ND.T @ value_ND / len(value_ND))
    kept = np.argsort(-size)[:AXES]
    kept = kept[size[kept] > 1e-9]
    axis_NK = value_ND @ axes_DD[:, kept] / np.sqrt(size[kept])
    return np.concatenate([axis_NK, np.ones((len(value_ND), 1))], axis=1)


def _held_out_scores(axis_NK: Doubles, label_NB: Mask, fold_N: Ints) -> Doubles:
    target_NB = np.where(label_NB, 1.0, -1.0)
    score_NB = np.empty(target_NB.shape)
    for fold in range(FOLDS):
        train_N = fold_N != fold
        gram_KK = axis_NK[train_N].T @ axis_NK[train_N] + RIDGE * np.eye(axis_NK.shape[1])
        weight_KB = np.linalg.solve(gram_KK, axis_NK[train_N].T @ target_NB[train_N])
        # Each fold's scores have their own mean, which depends on the labels outside the fold: it would lower the AUC.
        found = axis_NK[~train_N] @ weight_KB
        score_NB[~train_N] = found - found.mean(axis=0)
    return score_NB


def _stratified(label_P: Mask, rng: np.random.Generator) -> Ints:
    """Return a fold for each person, with equal shares of both parts."""
    order = np.argsort(label_P + rng.random(len(label_P)) * 0.5, kind="stable")
    fold_P = np.empty(len(label_P), dtype=np.int64)
    fold_P[order] = np.arange(len(label_P)) % FOLDS
    return fold_P


def _auc(score_N: Doubles, positive_N: Mask) -> float:
    return float(roc_auc(score_N, positive_N))
