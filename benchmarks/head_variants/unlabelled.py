"""More from photos without labels: their scale and covariance, and pseudo labels.

`new`: the fold's own validation photos play the part of the photos to predict. `every`: these and the photos to
predict. No label of either is known here. n training photos, D features, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce

import numpy as np

from head_variants.people import SHARED, means
from head_variants.split import Split, fit, log_rows
from maskcls.nn.fitting.discriminant import fit_discriminant
from maskcls.nn.fitting.fitted_head import Wide, WideHead, log_softmax
from maskcls.nn.fitting.head_rows import HeadRows
from maskcls.nn.fitting.second_moments import ClassMoments, SecondMoments, class_moments, second_moments
from maskcls.nn.fitting.solvers import Solver
from maskcls.nn.fitting.standardised import standardised

CONFIDENT = 0.9  # fixed before

Logs = dict[str, Wide]


def _others(one: Split, *, every: bool) -> Wide:
    """Return raw features of the photos without labels."""
    return np.concatenate([one.new_raw["last"], one.to_predict]) if every else one.new_raw["last"]


def _refitted(one: Split, known_ND: Wide, new_ND: Wide) -> Logs:
    grams: dict = {}  # type: ignore[type-arg]
    return {
        task: fit(known_ND, one.labels[task], one.part_n, one.classes(task), new_ND, grams=grams).new
        for task in one.space.names
    }


def scaled_together(one: Split, *, every: bool) -> Logs:
    """Features are standardised by mean and deviation of all photos together."""
    raw = one.raw["last"]
    found = standardised(np.concatenate([raw, _others(one, every=every)]))
    new = (one.new_raw["last"] - found.mean_D) / found.deviation_D
    return _refitted(one, found.feature_ND[: len(raw)], new)


def scaled_apart(one: Split) -> Logs:
    """Validation photos are standardised by their own mean and deviation, training photos by theirs."""
    new = standardised(one.new_raw["last"]).feature_ND
    logs = {}
    for task in one.space.names:
        grams = one.grams.setdefault("last", {})
        known = one.standard()[0]
        logs[task] = fit(known, one.labels[task], one.part_n, one.classes(task), new, grams=grams).new
    return logs


def total_solver(rows: HeadRows, other_ND: Wide) -> Solver:
    """Return discriminant analysis whose covariance within classes uses photos without labels too.

    Their covariance about their own mean, less that between the classes of the labelled rows, is one within classes;
    the two are averaged by numbers of photos.
    """
    places = {part: np.flatnonzero(rows.part_N == part) for part in np.unique(rows.part_N).tolist()}
    grams = {part: second_moments(rows.feature_ND[at], rows.weight_N[at]) for part, at in places.items()}
    by_class = {
        part: class_moments(rows.feature_ND[at], rows.weight_N[at], rows.label_N[at], rows.classes)
        for part, at in places.items()
    }
    centred_ND = other_ND - other_ND.mean(axis=0)
    other_DD = centred_ND.T @ centred_ND

    made: dict[tuple[int, ...], tuple[SecondMoments, ClassMoments]] = {}

    def solve(parts: Sequence[int], strength: float) -> WideHead:
        key = tuple(parts)
        if key not in made:
            gram_DD = reduce(SecondMoments.__add__, (grams[part] for part in parts)).gram_DD
            classes = reduce(ClassMoments.__add__, (by_class[part] for part in parts))
            within_DD = with_others(gram_DD, classes, other_DD, len(other_ND))
            present = classes.present
            weight_P, sum_PD = classes.weight_C[present], classes.sum_CD[present]
            made[key] = SecondMoments(within_DD * weight_P.sum() + sum_PD.T @ (sum_PD / weight_P[:, None])), classes
        return fit_discriminant(*made[key], strength, balance=0.0)

    return solve


def with_others(gram_DD: Wide, classes: ClassMoments, other_DD: Wide, others: int) -> Wide:
    """Return the covariance within classes (D, D); other_DD: the centred scatter of the photos without labels.

    A direction in which the classes differ more than those photos vary gets 0: there are at most C - 1 of them.

    >>> classes = ClassMoments(np.array([2.0, 2.0]), np.array([[2.0], [-2.0]]))  # at 1, 1, -1, -1
    >>> with_others(np.array([[4.0]]), classes, np.array([[8.0]]), 4).tolist()  # 0 within; 8 / 4 - 1 without labels
    [[0.5]]
    """
    from scipy.linalg import eigh

    present = classes.present
    weight_P, sum_PD = classes.weight_C[present], classes.sum_CD[present]
    whole, crossed_DD = weight_P.sum(), sum_PD.T @ (sum_PD / weight_P[:, None])
    mean_D = sum_PD.sum(axis=0) / whole
    between_DD = crossed_DD / whole - np.outer(mean_D, mean_D)
    found: Wide = (gram_DD - crossed_DD + other_DD - others * between_DD) / (whole + others)
    if len(present) > 1:
        low_K, axis_DK = eigh(found, subset_by_index=(0, min(len(found), len(present) - 1) - 1))
        found -= (axis_DK * np.minimum(low_K, 0)) @ axis_DK.T
    return found


def total_covariance(one: Split, *, every: bool) -> Logs:
    """Heads by `total_solver`."""
    known_ND, new_ND = one.standard()
    other = new_ND
    if every:
        other = np.concatenate([new_ND, (one.to_predict - one.kept["last"].mean_D) / one.kept["last"].deviation_D])
    solver = partial(total_solver, other_ND=other)
    return {
        task: fit(known_ND, one.labels[task], one.part_n, one.classes(task), new_ND, solver=solver).new
        for task in one.space.names
    }


def pseudo_labelled(one: Split, *, every: bool, grouped: bool = False) -> Logs:
    """One round of pseudo labels: photos with a class of at least this probability are added, and heads fitted again.

    Strength and factor stay those of the base. grouped: gender and age of the validation photos from the mean log
    probability of their group.
    """
    known_ND, new_ND = one.standard()
    other_ND = (_others(one, every=every) - one.kept["last"].mean_D) / one.kept["last"].deviation_D
    logs = {}
    for task in one.space.names:
        base, label_n, classes = one.base(task), one.labels[task], one.classes(task)
        moments = second_moments(known_ND, np.ones(len(known_ND)))
        by_class = class_moments(known_ND, np.ones(len(known_ND)), label_n, classes)
        first = fit_discriminant(moments, by_class, base.strength, balance=0.0).scaled(base.scale)
        log_NC = log_rows(first, other_ND, classes)
        if grouped and task in SHARED:
            own = len(new_ND)
            log_NC[:own] = log_softmax(means(log_NC[:own], one.group_m)[0][one.group_m])
        sure = np.flatnonzero(np.exp(log_NC.max(axis=1)) >= CONFIDENT)
        ones = np.ones(len(sure))
        moments += second_moments(other_ND[sure], ones)
        by_class += class_moments(other_ND[sure], ones, log_NC[sure].argmax(axis=1), classes)
        head = fit_discriminant(moments, by_class, base.strength, balance=0.0).scaled(base.scale)
        logs[task] = log_rows(head, new_ND, classes)
    return logs
