"""Cross-fitting: fit on the other folds, apply to the held-out fold. The resulting score is not biased by the fit.

N rows, J joint classes, M members, K folds. Folds hold whole people, so a person's photos never take part in
fitting what they are scored with.

Reference: Stone 1974, Cross-validatory choice and assessment of statistical predictions, J. R. Stat. Soc. B 36.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats, Ints

T = TypeVar("T")


def cross_fit(fold_N: Ints, fit: Callable[[Ints], T], apply: Callable[[T, Ints], NDArray[Any]]) -> NDArray[Any]:
    """For every fold, fit on the rows of the other folds and apply to its own; put the results together in row order.

    fold_N  whole numbers from 0, two or more different; all rows of a person are in one fold. Numbers may be missing.
    fit     takes the row numbers to fit on, ascending int64, and returns what it fitted.
    apply   takes that and the row numbers of the fold, ascending int64, and returns one result per row: (n, J)
            probabilities or (n,) labels, of the same dtype and width for every fold.

    Returns (N, J) or (N,). Every row is given to `apply` once. Raises ValueError for fewer than two folds, negative or
    broken fold numbers, and for results that do not fit their rows or each other.

    >>> value_N = np.array([1.0, 2.0, 4.0, 8.0])
    >>> cross_fit(np.array([0, 0, 1, 1]), lambda rows: value_N[rows].mean(), lambda mean, rows: value_N[rows] - mean)
    array([-5. , -4. ,  2.5,  6.5])
    """
    fold_N = _checked(fold_N)
    rows_K = [np.flatnonzero(fold_N == fold) for fold in np.unique(fold_N)]
    parts = [np.asarray(apply(fit(_others(fold_N, rows)), rows)) for rows in rows_K]
    _check_parts(parts, rows_K)
    stitched = np.empty((len(fold_N), *parts[0].shape[1:]), parts[0].dtype)
    for rows, part in zip(rows_K, parts, strict=True):
        stitched[rows] = part
    return stitched


def cross_fit_members(
    prob_MNJ: Sequence[Floats],
    truth: Mapping[str, Ints],
    fold_N: Ints,
    fit: Callable[[list[Floats], dict[str, Ints]], T],
    apply: Callable[[T, list[Floats]], Floats],
) -> Floats:
    """Cross-fit something that depends on the members' probabilities and the labels, such as their weights.

    prob_MNJ  M arrays of the same rows; row n is a member's prediction of a photo it was not trained on.
    truth     {task: (N,) int64}, -1 = unknown.
    fit       gets the members and the truth of the other folds' rows.
    apply     takes what was fitted and the members' probabilities of the fold's own rows.

    Returns (N, J) float32. Raises ValueError as `cross_fit` does, and for unequal lengths.
    """
    lengths = {len(fold_N), *(len(prob_NJ) for prob_NJ in prob_MNJ), *(len(label_N) for label_N in truth.values())}
    if len(lengths) > 1:
        raise ValueError(f"members, truth and folds must have the same rows: {sorted(lengths)}")

    def taken(rows: Ints) -> list[Floats]:
        return [prob_NJ[rows] for prob_NJ in prob_MNJ]

    return cross_fit(
        fold_N,
        lambda rows: fit(taken(rows), {name: label_N[rows] for name, label_N in truth.items()}),
        lambda learned, rows: apply(learned, taken(rows)),
    )


def _others(fold_N: Ints, rows: Ints) -> Ints:
    return np.flatnonzero(fold_N != fold_N[rows[0]])


def _checked(fold_N: Ints) -> Ints:
    fold_N = np.asarray(fold_N)
    if fold_N.ndim != 1 or fold_N.dtype.kind not in "iu" or (fold_N.size and fold_N.min() < 0):
        raise ValueError("fold numbers must be a list of whole numbers of at least 0")
    if len(np.unique(fold_N)) < 2:
        raise ValueError("cross-fitting needs two folds or more: with one fold there are no rows to fit on")
    return fold_N


def _check_parts(parts: list[NDArray[Any]], rows_K: list[Ints]) -> None:
    first = parts[0]
    for part, rows in zip(parts, rows_K, strict=True):
        if part.shape != (len(rows), *first.shape[1:]) or part.dtype != first.dtype:
            raise ValueError(
                f"a fold of {len(rows)} rows gave {part.dtype} of shape {part.shape}; the first gave {first.dtype} of "
                f"{first.shape}"
            )
