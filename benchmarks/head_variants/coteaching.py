"""Co-teaching: two heads of different people name the rows of small loss that the other is fitted on.

n training photos, C classes. The shares that are kept and the number of rounds were fixed before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from head_variants.people import SHARED, means
from head_variants.split import Split, log_rows, other_logistic
from maskcls.labels import Bools, Ints
from maskcls.nn.fitting.fitted_head import Wide, WideHead
from maskcls.nn.fitting.head_rows import HeadRows
from maskcls.nn.fitting.logistic import TOLERANCE, curved, fit_logistic
from maskcls.nn.fitting.solvers import Solver

H = TypeVar("H")

ROUNDS = 3
SEED = 0  # of the division of people
ROUGH = 1e-3  # tolerance of heads that only select rows

Logs = dict[str, Wide]


def halves(person_n: Ints) -> Ints:
    """Return the half (n,) that the person of each row is in, 0 or 1, at random with a fixed seed."""
    people, place_n = np.unique(person_n, return_inverse=True)
    half_P = np.empty(len(people), dtype=np.int64)
    half_P[np.random.default_rng(SEED).permutation(len(people))] = np.arange(len(people)) % 2
    return np.asarray(half_P[place_n])


def smallest(loss_n: Wide, share: float, stratum_n: Ints) -> Bools:
    """Return which rows have the smallest losses of their stratum: at least this share, equal ones together.

    >>> smallest(np.array([3.0, 1.0, 1.0, 2.0, 9.0]), 0.25, np.array([0, 0, 0, 0, 1])).tolist()
    [False, True, True, False, True]
    """
    kept_n = np.zeros(len(loss_n), dtype=bool)
    for stratum in np.unique(stratum_n):
        own = stratum_n == stratum
        kept_n[own] = loss_n[own] <= np.quantile(loss_n[own], share, method="inverted_cdf")
    return kept_n


def agreed(
    half_n: Ints, share: float, stratum_n: Ints, fit_rows: Callable[[Ints], H], loss_of: Callable[[H, Ints], Wide]
) -> Ints:
    """Return the rows that two heads keep for each other (Han et al. 2018, arXiv:1804.06872), in order.

    half_n   which head may be fitted on a row; the other one, of other people, gives its loss.
    fit_rows, loss_of  fit a head on rows; return the losses of rows by a head.

    Both begin with all rows of their half. In each round both are fitted, and select from all rows of the other half.
    As in the reference, the share that is kept falls in equal steps, here to `share` in the last round.
    """
    own = [np.flatnonzero(half_n == side) for side in (0, 1)]
    taught = own
    for done in range(1, ROUNDS + 1):
        now = 1 - (1 - share) * done / ROUNDS
        one, other = (fit_rows(rows) for rows in taught)
        taught = [
            rows[smallest(loss_of(peer, rows), now, stratum_n[rows])]
            for rows, peer in zip(own, (other, one), strict=True)
        ]
    return np.sort(np.concatenate(taught))


def taught_solver(
    rows: HeadRows, about: float, *, person_n: Ints, share: float, by_class: bool, by_person: bool
) -> Solver:
    """Return a solver of logistic regression on the rows that two heads of half the people have agreed on.

    by_class  keep the share of each class. by_person: the loss of a row is the mean over the person's rows.
    """
    features, half_n = curved(rows.feature_ND, about), halves(person_n)
    made: dict[tuple[tuple[int, ...], float], WideHead] = {}

    def fitted(at: Ints, strength: float, tolerance: float) -> WideHead:
        share_n = np.full(len(at), 1 / len(at))
        return fit_logistic(features.at(at), rows.label_N[at], share_n, strength, tolerance=tolerance)

    def loss_of(head: WideHead, at: Ints) -> Wide:
        loss_n = -log_rows(head, rows.feature_ND[at], rows.classes)[np.arange(len(at)), rows.label_N[at]]
        if not by_person:
            return loss_n
        unit_n = np.unique(person_n[at], return_inverse=True)[1].astype(np.int64)
        return means(loss_n[:, None], unit_n)[0][unit_n, 0]

    def solve(parts: Sequence[int], strength: float) -> WideHead:
        key = tuple(parts), strength
        if key not in made:
            at = np.flatnonzero(np.isin(rows.part_N, parts))
            stratum_n = rows.label_N[at] if by_class else np.zeros(len(at), dtype=np.int64)
            kept = agreed(
                half_n[at],
                share,
                stratum_n,
                lambda some: fitted(at[some], strength, ROUGH),
                lambda head, some: loss_of(head, at[some]),
            )
            made[key] = fitted(at[kept], strength, TOLERANCE)
        return made[key]

    return solve


def co_taught(one: Split, share: float, *, by_class: bool = False) -> Logs:
    """Logistic heads on the rows that two heads keep for each other.

    The heads that select are those of halves of the training people; the one that predicts is fitted on what both have
    kept, so that it sees all people. Of a task that is the same on all photos of a person, people are kept or left out
    whole.
    """

    def solver(task: str, about: float, rows: HeadRows) -> Solver:
        by_person = task in SHARED
        return taught_solver(rows, about, person_n=one.person_n, share=share, by_class=by_class, by_person=by_person)

    return other_logistic(one, solver)
