"""All arms in seconds: linear heads on the features of a network that is not trained, in place of trainings.

A screening: what helps linear heads need not help a network that learns its features too, and the reverse. The
features are those of the starting weights, which have seen no photo of the data set. Each fold reduces them to the
principal components of its training photos.

Seeds are weights of the training people, the same for all arms, as in a Bayesian bootstrap (Rubin 1981, Annals of
Statistics 9), but with a variance of 1/4 in place of 1: as if a fifth of the people were left out, not half of them,
of whom few are rare. The fit itself has no chance in it.

N photos, M added rows of one fold, D features, Q components, J joint classes, S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Bools, Floats, Ints, LabelSpace
from maskcls.nn.fitting.fitted_head import head_probabilities
from maskcls.nn.fitting.logistic import fit_heads

COMPONENTS = 64
STRENGTH = 0.03  # of the penalty on the components, in units of their deviations
SHAPE = 4.0  # of the gamma distribution of people's weights
STREAM = 0x68656164  # keeps the weights of people apart from everything else that is drawn with a seed


@dataclass(frozen=True, eq=False)
class RowFeatures:
    """Labelled photos with features.

    feature_ND  float32.   labels  {task: (N,) int64}, -1 = unknown.
    person_N    (N,) int64, the number of each person.   fold_N  (N,) int64: who is validated together.
    weight_N    (N,) float32.
    """

    feature_ND: Floats
    labels: Mapping[str, Ints]
    person_N: Ints
    fold_N: Ints
    weight_N: Floats


@dataclass(frozen=True, eq=False)
class AddedRows:
    """Rows that are only trained on, in one fold. own_N: (N,) factors of the weights of the fold's photos; None: 1."""

    feature_MD: Floats
    labels: Mapping[str, Ints]
    weight_M: Floats
    own_N: Floats | None = None


class Adding(Protocol):
    """Returns the rows that an arm adds in fold k, made from the photos that the fold trains on."""

    def __call__(self, k: int, train_N: Bools) -> AddedRows | None: ...


def heads_out_of_fold(
    rows: RowFeatures,
    space: LabelSpace,
    arms: Mapping[str, Adding],
    *,
    seeds: Sequence[int],
    most: int = COMPONENTS,
    folds: Sequence[int] | None = None,
) -> dict[str, list[Ints]]:
    """Return the out-of-fold joint labels (N,) of every arm with every seed; nothing depends on the order of arms.

    most   principal components at most.
    folds  whose rows get labels, others have 0; None: all.
    """
    found = {name: [np.zeros(len(rows.fold_N), dtype=np.int64) for _ in seeds] for name in arms}
    for k in np.unique(rows.fold_N[rows.fold_N >= 0]).tolist() if folds is None else folds:
        valid_N = rows.fold_N == k
        train_N = ~valid_N
        mean_D, axes_DQ = components(rows.feature_ND[train_N], most)
        feature_NQ = _reduced(rows.feature_ND, mean_D, axes_DQ)
        for name, adding in arms.items():
            added = adding(k, train_N)
            for place, seed in enumerate(seeds):
                own_n = (rows.weight_N * people_weights(rows.person_N, seed, k))[train_N]
                feature_nQ = feature_NQ[train_N]
                labels = {task: label_N[train_N] for task, label_N in rows.labels.items()}
                if added is not None:
                    own_n = own_n if added.own_N is None else own_n * added.own_N[train_N]
                    feature_nQ = np.concatenate([feature_nQ, _reduced(added.feature_MD, mean_D, axes_DQ)])
                    labels = {task: np.concatenate([one, added.labels[task]]) for task, one in labels.items()}
                    own_n = np.concatenate([own_n, added.weight_M])
                heads = fit_heads(feature_nQ, labels, own_n, space, strength=STRENGTH, balanced=False)
                found[name][place][valid_N] = head_probabilities(heads, feature_NQ[valid_N], space).argmax(axis=1)
    return found


def components(feature_ND: Floats, most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (D,) and at most so many principal axes (D, Q), the largest first; deterministic."""
    wide_ND = feature_ND.astype(np.float64)
    mean_D = wide_ND.mean(axis=0)
    value_D, axes_DD = np.linalg.eigh((wide_ND - mean_D).T @ (wide_ND - mean_D) / len(wide_ND))
    kept = [place for place in np.argsort(-value_D)[:most].tolist() if value_D[place] > 1e-12 * value_D[-1]]
    return mean_D, axes_DD[:, kept]


def people_weights(person_N: Ints, seed: int, k: int) -> Floats:
    """Return the weight (N,) of each photo: gamma-distributed by person, of mean 1 and variance 1 / SHAPE.

    A function of (seed, k) and of the person's number.
    """
    draws_P = np.random.default_rng((STREAM, seed, k)).gamma(SHAPE, 1 / SHAPE, size=int(person_N.max()) + 1)
    weights: Floats = draws_P[person_N].astype(np.float32)
    return weights


def oversampling(rows: RowFeatures, space: LabelSpace) -> Adding:
    """Return the arm in which every joint class has the weight of the most frequent one, as sampler.draw=oversample."""
    label_N = space.encode(rows.labels)

    def adding(k: int, train_N: Bools) -> AddedRows:
        count_J = np.bincount(label_N[train_N & (label_N >= 0)], minlength=space.size)
        factor_N = np.where(label_N >= 0, count_J.max() / np.maximum(count_J, 1)[label_N], 1.0)
        none = {task: np.zeros(0, np.int64) for task in space.names}
        empty_MD = np.zeros((0, rows.feature_ND.shape[1]), np.float32)
        return AddedRows(empty_MD, none, np.zeros(0, np.float32), factor_N.astype(np.float32))

    return adding


def nothing_added(k: int, train_N: Bools) -> None:
    """Add nothing."""


def _reduced(feature_ND: Floats, mean_D: NDArray[np.float64], axes_DQ: NDArray[np.float64]) -> Floats:
    reduced: Floats = ((feature_ND.astype(np.float64) - mean_D) @ axes_DQ).astype(np.float32)
    return reduced
