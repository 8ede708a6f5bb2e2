"""Which rows an epoch draws: each once, by weight, or rare ones more often.

Everything is a pure function of (seed, epoch): training can resume anywhere, and any number of processes agrees. An
epoch is cut into steps by batches.py. R rows of a fold's training side, U units of rows, G groups, n rows of an epoch.

A group is what should come up more evenly, such as a class. A unit is what counts as one photo: a row or, with
`one_per_person`, a person's photos of one label, which take turns: each round of a unit shows every photo of it once.

A pass holds every unit once (oversampling: a rare one more often) in an order of its own. The epochs are windows of
equal length on the passes laid end to end, so nothing comes back before the pass is over. Weighted draws have no
passes; each stands alone.
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

    draw            shuffle: every unit in turn; weighted: with replacement, p proportional to count(group) ** -power;
                    oversample: every unit, and all of a group (largest / count(group)) ** power times on average.
    power           in [0, 1]: 0 leaves the groups as they are, 1 makes them equal; a shuffle does without it.
    one_per_person  count the rows of a unit as one: it shows one of them at a time.
    fraction        in (0, 1]: the share of a pass, or of the units with weighted draws, that makes an epoch.
    """

    draw: Draw
    power: float
    one_per_person: bool
    fraction: float


@dataclass(frozen=True)
class _Units:
    """The units in the order of their first rows; `rows` holds the rows of a unit side by side.

    start (U,) where a unit's rows begin, size (U,) how many they are; group (U,) int64 in 0..G-1; count (G,) units of a
    group, and weight (G,) float64, what one of them weighs.
    """

    rows: Rows
    start: Ints
    size: Ints
    group: Ints
    count: Ints
    weight: NDArray[np.float64]


def epoch_rows(rows_R: Rows, group_R: Ints, unit_R: Ints, how: Sampling, *, seed: int, epoch: int) -> Rows:
    """Draw the rows (n,) of this epoch, in the order in which they are trained on.

    A shuffle of all rows is `epoch_order`. With smaller epochs, how often units were shown since epoch 0 differs by at
    most one, in any stretch of the training by at most two. Where an epoch reaches into the next pass it may hold a row
    twice; see `turns`. The total of an oversampled group is rounded; over any passes in a row, how often its units were
    shown differs by at most one.

    rows_R   int64, unique, at least one.
    group_R  int64, any numbers; a shuffle does not look at them. Rows whose group is negative, which is to say unknown,
             weigh what a known one does on average: together they keep the share that they have.
    unit_R   int64, any numbers; looked at with `one_per_person` alone. Rows of a unit that differ in group are units of
             their own, except for a shuffle.

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
    """Return how many rows `epoch_rows` draws, at least one and the same in every epoch, without drawing them."""
    return _share(_pass_length(_units(rows_R, group_R, unit_R, how), how), how.fraction)


def turns(rows_n: Rows) -> Ints:
    """Count for each place (n,) how often its row occurs before it; 0 for the first time.

    A row that comes twice in an epoch should not look the same twice, so its augmentation is keyed on this as well.

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
    """Return the group (R,) whose frequency counts, every unknown one as -1."""
    match draw:
        case "shuffle":
            return np.zeros_like(group_R)  # an oversampling in which all rows are of one group
        case "weighted" | "oversample":
            return np.maximum(group_R, UNKNOWN)
        case _:
            assert_never(draw)


def _runs(differs: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return where the runs of equal values begin and how long they are; `differs` compares neighbours."""
    start = np.append(0, np.flatnonzero(differs) + 1)
    return start, np.diff(start, append=len(differs) + 1)


def _weights(count_G: Ints, unknown_G: NDArray[np.bool_], power: float) -> NDArray[np.float64]:
    weight_G = count_G.astype(np.float64) ** -power
    if unknown_G.any() and not unknown_G.all():
        weight_G[unknown_G] = np.average(weight_G[~unknown_G], weights=count_G[~unknown_G])
    return weight_G


def _totals(units: _Units) -> Ints:
    """Return how many rows of each group (G,) a pass of oversampling holds; the largest group has no copies."""
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

    The k-th of a group's `count` units stands in it as often as whole numbers lie between k and k + 1 times total /
    count: total in all, spread evenly. Every unit is one k further in the next pass, so that all get their turn.
    """
    count, total = units.count[units.group], _totals(units)[units.group]
    k = (turns(units.group) + turn) % count
    copies: Ints = (k + 1) * total // count - k * total // count
    return np.repeat(_shown(units, seed, turn), copies)


def _shown(units: _Units, seed: int, turn: int) -> Rows:
    """Return the row (U,) that each unit shows in this turn: each once a round, beginning where the draw says."""
    key = units.rows[units.start].astype(np.uint64)
    begin = uniforms(seed, turn // units.size, key, 1)[:, 0] * units.size
    return units.rows[units.start + (begin.astype(np.int64) + turn) % units.size]
