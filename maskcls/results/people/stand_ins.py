"""Whole groups of out-of-fold rows, without using a network that knows a row's person.

N out-of-fold rows, E >= N rows that take part in a mean. A group is wrong where it holds photos of several people.
Those people are often in different folds, so there are three ways to average out-of-fold rows within groups:

- *Cut* each group at the folds. No row is averaged with a row of another fold. This removes most wrong pairs, four in
  five with five folds, and no right one, since a person is in one fold. Among new photos no wrong pair is removed, so
  the gain is estimated too high.
- *Leave* the groups whole and average what each fold's network predicted. The network that predicted the row of another
  fold was trained on this row's person, who looks like the one in that photo. It can therefore lean to this row's
  label, and the label leaks into the mean. The estimate can be too high again; the more, the better networks remember.
- *Replace* the rows of other folds (this module). Seen from a row of fold a, a person of another fold in its group is
  replaced by a person of fold a with the same labels, drawn at random. Both are then predicted by the network of fold
  a, which was trained on neither, so nothing leaks: labels of the replaced person decide who stands in, the labels of
  the row itself decide nothing. Number, labels and photo classes of the wrong pairs are those of the whole group.

What remains: a stand-in has the same labels, but does not look like the row's person, so errors or successes that two
people share because they look similar are not shared. `benchmarks/honesty/groups.py` measures the sum of all this: in
sets as large as half of the known people, cut groups promise up to 0.024 too much, whole groups as predicted up to
0.005 too much, and replaced ones up to 0.011 too little, more where fewer pairs are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.people.averaging import split_groups


@dataclass(frozen=True, eq=False)
class GroupRows:
    """Which rows are averaged: element e takes the prediction of row take_E[e], in group group_E[e].

    take_E   (E,) int64, row numbers 0..N-1; the first N are 0..N-1, the rows themselves, the others stand in.
    group_E  (E,) int64, 0 and up.
    """

    take_E: Ints
    group_E: Ints


def cut_rows(group_N: Ints, part_N: Ints) -> GroupRows:
    """Return the rows themselves, with groups split so that none has rows of two parts, such as folds or people."""
    return GroupRows(np.arange(len(group_N)), split_groups(group_N, part_N))


def whole_rows(
    group_N: Ints, fold_N: Ints, person_N: Sequence[str] | NDArray[Any], kind_N: Ints, class_N: Ints, *, seed: int
) -> GroupRows:
    """Return groups as among new photos: people of other folds are replaced by people of the row's own fold.

    A replaced person's photos are replaced one by one, by photos of the same class where the stand-in has some. Where
    no person of the fold outside the group has the same labels, one with other labels stands in; where the fold has no
    such person at all, none does.

    group_N   (N,) int, 0 and up. fold_N: (N,) int; all rows of a person are in one fold.
    person_N  (N,) text or whole numbers.
    kind_N    (N,) int, the joint label of the tasks that are the same on all photos of a person; -1 = unknown.
    class_N   (N,) int, the joint label of the other tasks, such as the mask; -1 = unknown.
    seed      of the choice of stand-ins.
    """
    who_N = np.unique(np.asarray(person_N), return_inverse=True)[1]
    pool, rng = _Pool(who_N, fold_N, kind_N, class_N), np.random.default_rng(seed)
    cut = cut_rows(group_N, fold_N)
    take, group = cut.take_E.tolist(), cut.group_E.tolist()
    for rows in _groups_of_several_folds(group_N, fold_N):
        inside = set(who_N[rows].tolist())
        for fold in np.unique(fold_N[rows]).tolist():
            own = rows[fold_N[rows] == fold]
            found = _replacements(pool, rows[fold_N[rows] != fold], fold, inside, rng)
            take += found
            group += [group[own[0]]] * len(found)
    return GroupRows(np.array(take, dtype=np.int64), np.array(group, dtype=np.int64))


class _Pool:
    """The people who may stand in, by fold and label, and their photos."""

    def __init__(self, who_N: Ints, fold_N: Ints, kind_N: Ints, class_N: Ints) -> None:
        self.who_N, self.class_N = who_N, class_N
        first_P = np.unique(who_N, return_index=True)[1]
        self.fold_P, self.kind_P = fold_N[first_P], kind_N[first_P]
        self.rows_P = np.split(np.argsort(who_N, kind="stable"), np.cumsum(np.bincount(who_N))[:-1])

    def stand_in(self, person: int, fold: int, taken: set[int], rng: np.random.Generator) -> int | None:
        in_fold = np.flatnonzero(self.fold_P == fold)
        free = in_fold[~np.isin(in_fold, list(taken))]
        similar = free[self.kind_P[free] == self.kind_P[person]]
        chosen = similar if len(similar) else free
        return int(rng.choice(chosen)) if len(chosen) else None

    def photos(self, person: int, class_n: Ints, rng: np.random.Generator) -> list[int]:
        """Return a photo of the person for each class asked for, each once before one is repeated."""
        rows, given = rng.permutation(self.rows_P[person]), list[int]()
        for label in class_n.tolist():
            same = rows[self.class_N[rows] == label]
            fresh = same if len(same) else rows
            given.append(min(fresh.tolist(), key=given.count))
        return given


def _replacements(pool: _Pool, foreign: Ints, fold: int, inside: set[int], rng: np.random.Generator) -> list[int]:
    """Return rows of this fold that stand in for rows of other folds."""
    taken, found = set(inside), list[int]()
    for person in np.unique(pool.who_N[foreign]).tolist():
        other = pool.stand_in(person, fold, taken, rng)
        if other is not None:
            taken.add(other)
            found += pool.photos(other, pool.class_N[foreign[pool.who_N[foreign] == person]], rng)
    return found


def _groups_of_several_folds(group_N: Ints, fold_N: Ints) -> Iterator[Ints]:
    order = np.argsort(group_N, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group_N[order])) + 1):
        if len(np.unique(fold_N[rows])) > 1:
            yield rows
