"""Which rows an epoch uses: each once, random by weight, or rare ones more often.

Everything is a pure function of (seed, epoch): training can resume at any epoch, and any number of processes computes
the same rows. An epoch is divided into steps by batches.py. R training rows of a fold, U units, G groups, n rows of an
epoch.

A group is balanced against other groups; a class, for example. A unit counts as one photo: a row or, with
`one_per_person`, all photos of one person with one label. Such a unit uses its photos in turn: each of them once before
any is used again.

A pass contains every unit once (oversampling: a rare unit more often) in its own random order. The passes are
concatenated, and each epoch is the next window of n rows; so a unit is not repeated before its pass is over. Weighted
sampling has no passes; each draw is independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from maskcls.data.rows.batches import Rows, epoch_order
from maskcls.data.views.keyed_random import uniforms
from maskcls.labels import UNKNOWN, Ints

Draw = Literal["shuffle", "weighted", "oversample"]


@dataclass(frozen=True)
class Sampling:
    """How an epoch draws its rows.

    draw            shuffle: every unit once; weighted: with replacement, p proportional to count(group) ** -power;
                    oversample: every unit of a group (largest / count(group)) ** power times on average.
    power           in [0, 1]: 0 does not change the group frequencies, 1 makes them equal; shuffle ignores it.
    one_per_person  a person's rows with one label are one unit, and are used in turn.
    fraction        in (0, 1]: the length of an epoch as a share of a pass or, with weighted draws, of the units.
    """

    draw: Draw
    power: float
    one_per_person: bool
    fraction: float


@dataclass(frozen=True)
class _Units:
    """The units in the order of their first rows.

    rows    (R,) int64; the rows of a unit are neighbours.
    start   (U,) int64 index of a unit's first row in `rows`; size: (U,) its number of rows.
    group   (U,) int64 in 0..G-1.
    count   (G,) number of units per group; weight: (G,) float64 weight of one unit.
    """

    rows: Rows
    start: Ints
    size: Ints
    group: Ints
    count: Ints
    weight: NDArray[np.float64]


def epoch_rows(rows_R: Rows, group_R: Ints, unit_R: Ints, how: Sampling, *, seed: int, epoch: int) -> Rows:
    """Return the rows (n,) int64 of this epoch, in training order.

    A shuffle of all rows is `epoch_order`. With shorter epochs, the number of uses since epoch 0 differs by at most one
    between units, and over any part of the training by at most two. An epoch that continues in the next pass may
    contain a row twice; see `turns`. The total of an oversampled group is rounded; over any number of whole passes, the
    number of uses differs by at most one between its units.

    rows_R   int64, unique, at least one.
    group_R  int64, any numbers; ignored by a shuffle. A negative group means unknown: these rows have the average
             weight of the known rows, so their share in the epoch does not change.
    unit_R   int64, any numbers; used only with `one_per_person`. Rows of one unit in different groups become separate
             units, except in a shuffle.

    >>> how = Sampling("oversample", power=1.0, one_per_person=False, fraction=1.0)
    >>> rows = np.arange(5)
    >>> sorted(epoch_rows(rows, np.array([0, 0, 0, 0, 1]), rows, how, seed=0, epoch=0).tolist())
    [0, 1, 2, 3, 4, 4, 4, 4]
    """
    units = _units(rows_R, group_R, unit_R, how)
    whole = _pass_length(units, how)
    n = _share(whole, how.fraction)
    match how.draw:
        case "weighted":
            p_U = units.weight[units.group]
            return np.random.default_rng((seed, epoch)).choice(_shown(units, seed, epoch), n, p=p_U / p_U.sum())
        case "shuffle" | "oversample":
            first, skipped = divmod(epoch * n, whole)
            last = ((epoch + 1) * n - 1) // whole
            passes = [epoch_order(_deck(units, seed, turn), seed=seed, epoch=turn) for turn in range(first, last + 1)]
            return np.concatenate(passes)[skipped : skipped + n]
        case _:
            assert_never(how.draw)


def epoch_length(rows_R: Rows, group_R: Ints, unit_R: Ints, how: Sampling) -> int:
    """Return the number of rows n of `epoch_rows`, at least 1 and the same in every epoch, without drawing them."""
    return _share(_pass_length(_units(rows_R, group_R, unit_R, how), how), how.fraction)


def turns(rows_n: Rows) -> Ints:
    """Return for each element (n,) how often its row occurs before it; 0 for the first time.

    The augmentation is also seeded by this number, so that a repeated row gets another augmentation.

    >>> turns(np.array([7, 3, 7, 7, 3])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(rows_n, kind="stable")
    start, size = _runs(np.diff(rows_n[order]) != 0)
    turn_n = np.empty(len(rows_n), dtype=np.int64)
    turn_n[order] = np.arange(len(rows_n)) - np.repeat(start, size)
    return turn_n


def _share(whole: int, fraction: float) -> int:
    return max(1, round(whole * fraction))


def _units(rows_R: Rows, group_R: Ints, unit_R: Ints, how: Sampling) -> _Units:
    known_R = _known_groups(group_R, how.draw)
    by_unit = np.lexsort((known_R, unit_R)) if how.one_per_person else np.arange(len(rows_R))
    unit, known = unit_R[by_unit], known_R[by_unit]
    differs = (unit[1:] != unit[:-1]) | (known[1:] != known[:-1]) | (not how.one_per_person)
    start, size = _runs(differs)
    by_first_row = np.argsort(by_unit[start])
    start, size = start[by_first_row], size[by_first_row]
    names, group_U, count_G = np.unique(known[start], return_inverse=True, return_counts=True)
    weight_G = _weights(count_G, names == UNKNOWN, how.power)
    return _Units(rows_R[by_unit], start, size, group_U, count_G, weight_G)


def _known_groups(group_R: Ints, draw: Draw) -> Ints:
    """Return the group (R,) of each row, with -1 for every unknown group."""
    match draw:
        case "shuffle":
            return np.zeros_like(group_R)  # like oversampling with all rows in one group
        case "weighted" | "oversample":
            return np.maximum(group_R, UNKNOWN)
        case _:
            assert_never(draw)


def _runs(differs: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return start and length of each run of equal values; `differs` compares neighbours."""
    start = np.append(0, np.flatnonzero(differs) + 1)
    return start, np.diff(start, append=len(differs) + 1)


def _weights(count_G: Ints, unknown_G: NDArray[np.bool_], power: float) -> NDArray[np.float64]:
    weight_G = count_G.astype(np.float64) ** -power
    if unknown_G.any() and not unknown_G.all():
        weight_G[unknown_G] = np.average(weight_G[~unknown_G], weights=count_G[~unknown_G])
    return weight_G


def _totals(units: _Units) -> Ints:
    """Return the number of rows per group (G,) in a pass of oversampling; the largest group is not repeated."""
    total_G: Ints = np.rint(units.count * (units.weight / units.weight.min())).astype(np.int64)
    return total_G


def _pass_length(units: _Units, how: Sampling) -> int:
    match how.draw:
        case "weighted":
            return len(units.start)
        case "shuffle" | "oversample":
            return int(_totals(units).sum())
        case _:
            assert_never(how.draw)


def _deck(units: _Units, seed: int, turn: int) -> Rows:
    """Return the rows of a pass, not yet shuffled.

    The k-th of a group's `count` units occurs floor((k + 1) * total / count) - floor(k * total / count) times: total in
    all, evenly distributed. In the next pass every unit's k grows by one (modulo count), so that extra copies rotate.
    """
    count, total = units.count[units.group], _totals(units)[units.group]
    k = (turns(units.group) + turn) % count
    copies: Ints = (k + 1) * total // count - k * total // count
    return np.repeat(_shown(units, seed, turn), copies)


def _shown(units: _Units, seed: int, turn: int) -> Rows:
    """Return the row (U,) that each unit uses in this turn: each row once per round, from a random start."""
    key = units.rows[units.start].astype(np.uint64)
    begin = uniforms(seed, turn // units.size, key, 1)[:, 0] * units.size
    return units.rows[units.start + (begin.astype(np.int64) + turn) % units.size]
