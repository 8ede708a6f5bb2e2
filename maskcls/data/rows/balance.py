"""Exchange people between folds until all folds have even shares of photos and classes.

Only whole numbers are computed with, so the result is the same on every machine. N rows (photos), P people, F counts
per person, K folds.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from maskcls.labels import UNKNOWN, Ints

SIZE_WEIGHT = 8  # of the photos in all against one class, see docs/adr/0016-folds-balance-photos.md
WEIGHTS_MOST = 1 << 31  # leaves room in 64 bits for 100 folds and thousands of classes
CANDIDATES = 500  # people drawn, and people of the rarest classes; more are not tried


def photo_counts(who_N: Ints, labels: Mapping[str, Ints]) -> Ints:
    """Return each person's photos (P, F) int64: all of them, then those of each class of each task.

    who_N   int64, the number 0..P-1 of each row's person.
    labels  class indices (N,) by task, -1 = unknown, which is not counted.
    """
    photos_P = np.bincount(who_N)
    classes = [label_N == label for label_N in labels.values() for label in _known(label_N)]
    return np.stack([photos_P, *(np.bincount(who_N[rows], minlength=len(photos_P)) for rows in classes)], axis=1)


def people_counts(who_N: Ints, labels: Mapping[str, Ints]) -> Ints:
    """Return what `photo_counts` does for one photo per person: 1, then whether the person is of each class.

    labels  class indices (N,) by task, the same on all photos of a person, except for -1 = unknown.
    """
    return np.minimum(photo_counts(who_N, labels), 1)


def finer_strata(stratum_P: Ints, photos_PF: Ints) -> Ints:
    """Return strata (P,) int64 in the order of stratum_P, divided by the rarest class a person has photos of, by their
    number, and by the number of all photos.
    """
    total_F = photos_PF.sum(axis=0)
    rarest_P = np.where(photos_PF > 0, total_F, total_F.max() + 1).argmin(axis=1)
    of_rarest_P = np.take_along_axis(photos_PF, rarest_P[:, None], axis=1)[:, 0]
    keys = np.stack([stratum_P, rarest_P, of_rarest_P, photos_PF[:, 0]], axis=1)
    return np.unique(keys, axis=0, return_inverse=True)[1].astype(np.int64)


def _known(label_N: Ints) -> Ints:
    return np.unique(label_N[label_N != UNKNOWN])


def weights(count_PF: Ints, parts: int) -> Ints:
    """Return the weights (F,) int64 of squared differences: 1 / mean count per fold ** 2, so that they are relative.

    Photos in all (the first column) count SIZE_WEIGHT times as much as a class.
    """
    mean_F = count_PF.sum(axis=0) / parts
    weight_F: Ints = np.maximum(1, WEIGHTS_MOST / np.maximum(mean_F**2, 1)).astype(np.int64)
    weight_F[0] *= SIZE_WEIGHT
    return weight_F


def difference(fold_P: Ints, count_PF: Ints, share_K: Ints) -> Ints:
    """Return sum(share) * a fold's counts - its share of all counts, (K, F) int64; 0 is perfectly even."""
    fold_KF = np.stack([count_PF[fold_P == fold].sum(axis=0) for fold in range(len(share_K))])
    return np.asarray(share_K.sum() * fold_KF - share_K[:, None] * count_PF.sum(axis=0))


def unevenness(fold_P: Ints, count_PF: Ints, share_K: Ints) -> int:
    """Return the weighted sum of squared differences that `exchange` lowers."""
    squares = difference(fold_P, count_PF, share_K).astype(object) ** 2  # Python's numbers do not overflow
    return int((squares * weights(count_PF, len(share_K))).sum())


def exchange(fold_P: Ints, count_PF: Ints, share_K: Ints, order_P: Ints) -> Ints:
    """Return other folds (P,): moves of one person and swaps of two, each the best of its fold, while one helps.

    fold_P    int64, 0..K-1; no fold becomes empty.
    share_K   int64, the folds' sizes to each other: equal, or (1, 4) for a hold-out of a fifth.
    order_P   int64, a random order of the people: of many, the first are tried, and those of the rarest classes.

    `unevenness` of the result is at most that of fold_P.
    """
    weight_F, scale = weights(count_PF, len(share_K)), int(share_K.sum())
    tried = _tried(count_PF, weight_F, order_P)
    fold_P, count_CF = fold_P.copy(), count_PF[tried]
    fold_C, people_K = fold_P[tried], np.bincount(fold_P, minlength=len(share_K))
    weighted_CF = count_CF * weight_F
    product_CC = scale * (weighted_CF @ count_CF.T)
    differs_KF = difference(fold_P, count_PF, share_K)
    fold, since = 0, 0
    while since < len(share_K):  # until no fold has found anything
        # With d, the counts that are given away, and g, the difference between two folds, this changes unevenness by
        # 2 * scale * (scale * d.W.d - d.W.g).
        gain_CK = weighted_CF @ (differs_KF[fold] - differs_KF).T
        own_C = np.flatnonzero(fold_C == fold)
        swap = _best_swap(own_C, fold_C, gain_CK, product_CC)
        best = min(swap, _best_move(own_C, fold, gain_CK, product_CC) if people_K[fold] > 1 else NOTHING)
        if best[0] >= 0:
            fold, since = (fold + 1) % len(share_K), since + 1
            continue
        _, person, other, partner = best
        given_F = count_CF[person] - (count_CF[partner] if partner >= 0 else 0)
        differs_KF[fold] -= scale * given_F
        differs_KF[other] += scale * given_F
        fold_C[person] = other
        if partner >= 0:
            fold_C[partner] = fold
        else:
            people_K[[fold, other]] += (-1, 1)
        since = 0
    fold_P[tried] = fold_C
    return fold_P


Step = tuple[int, int, int, int]  # half its change of unevenness / scale, the person, the other fold, the partner or -1
NOTHING: Step = (0, -1, -1, -1)


def _best_swap(own_C: Ints, fold_C: Ints, gain_CK: Ints, product_CC: Ints) -> Step:
    """Return the best swap of a person in own_C with a person of another fold."""
    other_C = np.setdiff1d(np.arange(len(fold_C)), own_C)
    if not len(own_C) or not len(other_C):
        return NOTHING
    square_C, to = np.diagonal(product_CC), fold_C[other_C]
    change = square_C[own_C][:, None] - gain_CK[own_C][:, to] - 2 * product_CC[np.ix_(own_C, other_C)]
    change += square_C[other_C] + gain_CK[other_C, to]
    row, column = divmod(int(change.argmin()), len(other_C))
    return int(change[row, column]), int(own_C[row]), int(to[column]), int(other_C[column])


def _best_move(own_C: Ints, fold: int, gain_CK: Ints, product_CC: Ints) -> Step:
    """Return the best move of a person in own_C to another fold."""
    if not len(own_C):
        return NOTHING
    change = np.diagonal(product_CC)[own_C][:, None] - gain_CK[own_C]
    change[:, fold] = 0
    row, other = divmod(int(change.argmin()), change.shape[1])
    return int(change[row, other]), int(own_C[row]), other, -1


def _tried(count_PF: Ints, weight_F: Ints, order_P: Ints) -> Ints:
    """Return the people (C,) that are tried: the first in order_P, and those with the most photos of rare classes."""
    size_P = (count_PF**2 * weight_F).sum(axis=1)
    heaviest = np.lexsort((order_P.argsort(), -size_P))[:CANDIDATES]
    return np.union1d(order_P[:CANDIDATES], heaviest)
