"""Which rows an epoch draws: by hand, by what they cover, and by frequencies against formulas and other libraries."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate, chain, product
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_sample_weight
from torch.utils.data import WeightedRandomSampler

from maskcls.data.rows.batches import epoch_order
from maskcls.data.rows.sampling import Sampling, epoch_length, epoch_rows, turns

SHUFFLE = Sampling("shuffle", power=1.0, one_per_person=False, fraction=1.0)
WEIGHTED = replace(SHUFFLE, draw="weighted")
OVERSAMPLE = replace(SHUFFLE, draw="oversample")

HOWS = st.builds(
    Sampling,
    st.sampled_from(["shuffle", "weighted", "oversample"]),
    power=st.floats(0, 1),
    one_per_person=st.booleans(),
    fraction=st.floats(0.01, 1),
)


@st.composite
def sides(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, groups and units; some groups are unknown, and some units are in two groups."""
    rows = draw(st.lists(st.integers(0, 10_000), min_size=1, max_size=60, unique=True))
    group = st.sampled_from([-7, -1, 0, 1, 2, 5, 2**62])
    same = {"min_size": len(rows), "max_size": len(rows)}
    groups, units = draw(st.lists(group, **same)), draw(st.lists(st.integers(-4, 12), **same))
    return np.array(rows), np.array(groups), np.array(units)


def array(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def groups_of(*counts: int) -> np.ndarray:
    """Return counts[0] zeros, counts[1] ones and so on."""
    return np.repeat(np.arange(len(counts)), counts)


def epochs_of(
    rows: np.ndarray, group: np.ndarray, unit: np.ndarray, how: Sampling, count: int, seed: int = 3
) -> list[list[int]]:
    return [epoch_rows(rows, group, unit, how, seed=seed, epoch=e).tolist() for e in range(count)]


def copies_of(group: np.ndarray, how: Sampling, epoch: int = 0, seed: int = 0) -> np.ndarray:
    """Return how often an epoch holds each row; every row is a unit."""
    rows = np.arange(len(group))
    return np.bincount(epoch_rows(rows, group, rows, how, seed=seed, epoch=epoch), minlength=len(group))


def flat(epochs: Iterable[list[int]]) -> list[int]:
    return list(chain.from_iterable(epochs))


def spread(counts: Counter[int], rows: Any) -> int:
    return max(counts[r] for r in rows) - min(counts[r] for r in rows)


def within(got: float, share: float, draws: int, sigmas: float = 5) -> bool:
    """Say whether a share of independent draws is what it should be; five sigma: wrong once in two million."""
    return abs(got - share) <= sigmas * math.sqrt(share * (1 - share) / draws)


# --- every way of drawing


@settings(deadline=None, max_examples=100)
@given(sides(), HOWS, st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_an_epoch_is_a_function_of_its_arguments_and_has_the_length_that_was_announced(
    side: tuple[np.ndarray, np.ndarray, np.ndarray], how: Sampling, seed: int, epoch: int
) -> None:
    before = [a.copy() for a in side]
    order = epoch_rows(*side, how, seed=seed, epoch=epoch)
    epoch_rows(*side, how, seed=seed, epoch=epoch + 1)
    np.testing.assert_array_equal(order, epoch_rows(*side, how, seed=seed, epoch=epoch))
    assert order.dtype == np.int64
    assert len(order) == epoch_length(*side, how) >= 1
    assert set(order.tolist()) <= set(side[0].tolist())
    for now, then in zip(side, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_orders_differ_by_epoch_and_seed() -> None:
    draws = get_args(get_type_hints(Sampling)["draw"])
    assert len(draws) == 3
    rows = np.arange(60)
    for draw, one in product(draws, [False, True]):
        how = replace(SHUFFLE, draw=draw, one_per_person=one)
        found = [epoch_rows(rows, rows % 3, rows // 4, how, seed=s, epoch=e) for s in range(4) for e in range(4)]
        assert len({order.tobytes() for order in found}) == 16


@pytest.mark.parametrize("draw", ["shuffle", "weighted", "oversample"])
@pytest.mark.parametrize("one", [False, True])
def test_one_row_is_drawn_again_and_again(draw: Any, one: bool) -> None:
    for group, fraction in product([-1, 0, 2**62], [1.0, 0.001]):
        how = Sampling(draw, power=1.0, one_per_person=one, fraction=fraction)
        assert epochs_of(array(42), array(group), array(-9), how, 3) == [[42], [42], [42]]


@settings(deadline=None, max_examples=40)
@given(sides(), HOWS, st.integers(0, 50))
def test_names_of_groups_and_units_mean_nothing(
    side: tuple[np.ndarray, np.ndarray, np.ndarray], how: Sampling, epoch: int
) -> None:
    rows, group, unit = side
    # Groups stay in their order: sums of floats are taken in it.
    rank = np.unique(group, return_inverse=True)[1]
    renamed = (rows, np.where(group < 0, -3, rank * 10**15), -unit * 2**40)
    want, got = epoch_rows(*side, how, seed=1, epoch=epoch), epoch_rows(*renamed, how, seed=1, epoch=epoch)
    np.testing.assert_array_equal(got, want)


# --- shuffle


@settings(deadline=None, max_examples=50)
@given(sides(), st.floats(0, 1), st.integers(0, 2**32 - 1), st.integers(0, 1000))
def test_a_plain_shuffle_is_the_order_of_the_epoch(
    side: tuple[np.ndarray, np.ndarray, np.ndarray], power: float, seed: int, epoch: int
) -> None:
    rows, group, unit = side
    want = epoch_order(rows, seed=seed, epoch=epoch)
    how = replace(SHUFFLE, power=power)
    np.testing.assert_array_equal(epoch_rows(rows, group, unit, how, seed=seed, epoch=epoch), want)
    # Units of one row each change nothing, whatever they are called.
    how = replace(how, one_per_person=True)
    np.testing.assert_array_equal(epoch_rows(rows, group, -np.arange(len(rows)), how, seed=seed, epoch=epoch), want)


def test_four_quarters_are_one_order() -> None:
    rows = np.arange(100, 140)
    quarters = epochs_of(rows, rows, rows, replace(SHUFFLE, fraction=0.25), 8)
    assert [len(quarter) for quarter in quarters] == [10] * 8
    assert flat(quarters[:4]) == epoch_order(rows, seed=3, epoch=0).tolist()
    assert flat(quarters[4:]) == epoch_order(rows, seed=3, epoch=1).tolist()


def test_an_epoch_reaches_into_the_next_order() -> None:
    """7 rows, 3 an epoch: the third epoch takes the last row of the first order and two of the second."""
    rows = np.arange(7)
    orders = [epoch_order(rows, seed=3, epoch=e).tolist() for e in range(3)]
    stream = flat(orders)
    epochs = epochs_of(rows, rows, rows, replace(SHUFFLE, fraction=0.4), 7)  # 0.4 * 7 = 2.8
    assert epochs == [stream[i : i + 3] for i in range(0, 21, 3)]
    assert epochs[2] == [orders[0][6], orders[1][0], orders[1][1]]


@settings(deadline=None, max_examples=40)
@given(sides(), st.floats(0.01, 1), st.integers(0, 30))
def test_a_shuffle_covers_evenly(side: tuple[np.ndarray, np.ndarray, np.ndarray], fraction: float, start: int) -> None:
    rows, group, unit = side
    epochs = epochs_of(rows, group, unit, replace(SHUFFLE, fraction=fraction), 40)
    for running in accumulate((Counter(epoch) for epoch in epochs), lambda a, b: a + b):
        assert spread(running, rows.tolist()) <= 1
    assert spread(Counter(flat(epochs[start:])), rows.tolist()) <= 2


LENGTHS = [(100, 0.25, 25), (100, 1.0, 100), (10, 0.33, 3), (10, 0.37, 4), (30, 0.1, 3), (5, 0.001, 1), (1, 0.5, 1)]


@pytest.mark.parametrize(("count", "fraction", "n"), LENGTHS)
def test_lengths_by_hand(count: int, fraction: float, n: int) -> None:
    rows = np.arange(count)
    for draw in get_args(get_type_hints(Sampling)["draw"]):
        how = replace(SHUFFLE, draw=draw, fraction=fraction)
        assert epoch_length(rows, np.zeros(count, dtype=np.int64), rows, how) == n


# --- one photo of each unit


@settings(deadline=None, max_examples=40)
@given(sides(), st.integers(0, 40))
def test_an_epoch_shows_one_row_of_each_unit_and_a_round_shows_all(
    side: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int
) -> None:
    rows, group, unit = side
    unit_of = dict(zip(rows.tolist(), unit.tolist(), strict=True))
    epochs = epochs_of(rows, group, unit, replace(SHUFFLE, one_per_person=True), 24, seed=seed)
    for epoch in epochs:
        assert sorted(unit_of[row] for row in epoch) == sorted(set(unit.tolist()))
    members = defaultdict(set)
    for row, name in unit_of.items():
        members[name].add(row)
    rounds = 0
    for rows_of_unit in members.values():
        shown = [row for epoch in epochs for row in epoch if row in rows_of_unit]
        size = len(rows_of_unit)
        for begin in range(0, len(shown) - size + 1, size):
            assert set(shown[begin : begin + size]) == rows_of_unit
            rounds += 1
    assert rounds >= 1 or len(rows) > 24


def test_photos_take_turns_in_quarter_epochs_too() -> None:
    """20 people with 5 photos; 4 epochs of a quarter show each person once, 20 epochs each photo once."""
    rows, unit = np.arange(100), np.arange(100) // 5
    epochs = epochs_of(rows, rows * 0, unit, replace(SHUFFLE, one_per_person=True, fraction=0.25), 40)
    assert [len(epoch) for epoch in epochs] == [5] * 40
    for begin in range(0, 40, 4):
        assert sorted(row // 5 for row in flat(epochs[begin : begin + 4])) == list(range(20))
    for begin in (0, 20):
        assert sorted(flat(epochs[begin : begin + 20])) == list(range(100))


@pytest.mark.parametrize("how", [SHUFFLE, WEIGHTED, OVERSAMPLE])
def test_photos_take_turns_however_they_are_drawn(how: Sampling) -> None:
    rows = array(4, 8, 15, 16, 23)
    epochs = epochs_of(rows, rows * 0, rows * 0 - 2, replace(how, one_per_person=True), 10)
    assert sorted(flat(epochs[:5])) == sorted(flat(epochs[5:])) == rows.tolist()


def test_the_photo_is_uniform_and_its_own_draw_for_every_unit_and_round() -> None:
    people = 9000
    rows = np.arange(3 * people)
    first = np.sort(epoch_rows(rows, rows, rows // 3, replace(SHUFFLE, one_per_person=True), seed=0, epoch=0)) % 3
    later = np.sort(epoch_rows(rows, rows, rows // 3, replace(SHUFFLE, one_per_person=True), seed=0, epoch=3)) % 3
    other = np.sort(epoch_rows(rows, rows, rows // 3, replace(SHUFFLE, one_per_person=True), seed=1, epoch=0)) % 3
    assert all(within(float((first == photo).mean()), 1 / 3, people) for photo in range(3))
    for a, b in [(first[0::2], first[1::2]), (first, later), (first, other)]:  # neighbours, the next round, a new seed
        cells = np.bincount(3 * a + b, minlength=9) / len(a)
        assert all(within(float(cell), 1 / 9, len(a)) for cell in cells)


@settings(deadline=None, max_examples=50)
@given(sides(), st.integers(0, 30))
def test_which_photo_is_shown_does_not_hang_on_the_other_units(
    side: tuple[np.ndarray, np.ndarray, np.ndarray], epoch: int
) -> None:
    rows, group, unit = side
    how = replace(SHUFFLE, one_per_person=True)
    together = set(epoch_rows(rows, group, unit, how, seed=5, epoch=epoch).tolist())
    for name in set(unit.tolist()):
        own = unit == name
        (alone,) = epoch_rows(rows[own], group[own], unit[own], how, seed=5, epoch=epoch).tolist()
        assert alone in together


def test_rows_of_a_unit_count_as_one_when_groups_are_balanced() -> None:
    """Group 0: 4 units of 5 rows; group 1: 2 units of one row. Balanced, both show 4."""
    unit = np.append(np.repeat(np.arange(4), 5), [4, 5])
    group = np.append(np.zeros(20, dtype=np.int64), [1, 1])
    rows = np.arange(22)
    how = replace(OVERSAMPLE, one_per_person=True)
    for epoch in epochs_of(rows, group, unit, how, 10):
        assert sorted(unit[epoch].tolist()) == [0, 1, 2, 3, 4, 4, 5, 5]
    assert epoch_length(rows, group, unit, replace(how, one_per_person=False)) == 40
    assert epoch_length(rows, group, unit, replace(WEIGHTED, one_per_person=True)) == 6
    # Without balance a person with many photos is as likely as one with few.
    many = np.concatenate([rows + 22 * i for i in range(500)])
    units, groups = np.concatenate([unit + 6 * i for i in range(500)]), np.tile(group, 500)
    drawn = epoch_rows(many, groups, units, Sampling("weighted", 0.0, True, 1.0), seed=0, epoch=0)
    assert len(drawn) == 3000
    assert within(float((groups[drawn] == 1).mean()), 1 / 3, 3000)


def test_a_unit_of_several_groups_is_several_units_unless_shuffled() -> None:
    """One person whose age is unknown, and so the joint label; her photos are of two groups of mask."""
    rows, unit, group = array(10, 11, 12, 13), array(7, 7, 7, 7), array(0, 2, 0, 0)
    assert epoch_length(rows, group, unit, replace(SHUFFLE, one_per_person=True)) == 1
    assert epoch_length(rows, group, unit, replace(WEIGHTED, one_per_person=True)) == 2
    epochs = epochs_of(rows, group, unit, replace(OVERSAMPLE, one_per_person=True), 3)
    assert [len(epoch) for epoch in epochs] == [2, 2, 2]
    assert sorted(flat(epochs)) == [10, 11, 11, 11, 12, 13]
    # Two numbers that both say unknown are one group.
    assert epoch_length(rows, array(-1, -5, -1, -5), unit, replace(WEIGHTED, one_per_person=True)) == 1


# --- weighted


def test_shares_of_weighted_draws_by_hand() -> None:
    group = groups_of(16000, 4000)  # 4 to 1; the square roots are 2 to 1
    for power, share in [(0.0, 4 / 5), (0.5, 2 / 3), (1.0, 1 / 2)]:
        copies = copies_of(group, replace(WEIGHTED, power=power))
        assert copies.sum() == 20000
        assert within(copies[group == 0].sum() / 20000, share, 20000)
        for rows in (slice(0, 4000), slice(12000, 16000)):  # alike within the group
            assert within(copies[rows].sum() / 20000, share / 4, 20000)


def test_unknown_rows_keep_their_share() -> None:
    """Half of the rows are unknown: at power 1 the two known groups have a quarter each, whatever their counts."""
    group = np.tile(array(-1, -2, -9, -1, -1, 8, 8, 8, 8, 2), 2000)
    copies = copies_of(group, WEIGHTED)
    for chosen, share in [(group < 0, 1 / 2), (group == 8, 1 / 4), (group == 2, 1 / 4), (group == -2, 1 / 10)]:
        assert within(copies[chosen].sum() / 20000, share, 20000)


def test_a_row_is_put_back() -> None:
    """Of R uniform draws from R rows, (1 - 1/R)^R or 1/e of the rows come up never, and as many once."""
    for group in (groups_of(20000), np.full(20000, -3)):
        found = np.bincount(copies_of(group, WEIGHTED)) / 20000
        assert found[:4] == pytest.approx([1 / math.e / math.factorial(k) for k in range(4)], abs=0.015)  # > 4 sigma


@pytest.mark.parametrize("counts", [(1000, 1000), (9000, 900, 100), (5000, 3000, 1500, 400, 99, 1)])
def test_balanced_draws_are_those_of_torch_and_sklearn(counts: tuple[int, ...]) -> None:
    group, draws = groups_of(*counts), sum(counts)
    weight = compute_sample_weight("balanced", group)
    sampler = WeightedRandomSampler(weight.tolist(), draws, generator=torch.Generator().manual_seed(0))
    theirs = np.bincount(group[list(sampler)], minlength=len(counts)) / draws
    ours = np.bincount(np.repeat(group, copies_of(group, WEIGHTED)), minlength=len(counts)) / draws
    want = [weight[group == g].sum() / weight.sum() for g in range(len(counts))]
    for our, their, share in zip(ours, theirs, want, strict=True):
        assert within(our, share, draws)
        assert within(our - their + share, share, draws // 2)  # the difference has both their variances


def test_weighted_epochs_do_not_hang_together() -> None:
    group = groups_of(5000, 5000)
    first, second = (copies_of(group, WEIGHTED, epoch=e) for e in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05  # five sigma of 1 / sqrt(10000)


# --- oversample


TABLE: list[tuple[list[int], float, list[int]]] = [  # groups of the rows, power, rows of each group in an epoch
    ([0, 0, 0, 0, 1], 1.0, [4, 4]),
    ([0, 0, 0, 0, 1], 0.5, [4, 2]),
    ([0, 0, 0, 0, 1], 0.0, [4, 1]),
    ([5, 5, 5, 5, 5, 3, 3], 1.0, [5, 5]),  # smaller numbers come first: 3, then 5
    ([5, 5, 5, 5, 5, 3, 3], 0.5, [3, 5]),  # sqrt(2 * 5) = 3.16
    ([0] * 9 + [1] * 4 + [2], 0.5, [9, 6, 3]),
    ([0] * 4 + [1] * 2 + [-1] * 3, 1.0, [4, 4, 4]),  # unknown first: 3 rows, 8/6 times each
    ([0] * 4 + [1] * 2 + [-1] * 3, 0.0, [3, 4, 2]),
    ([-1, -4, -2], 1.0, [3]),
    ([2**62, 2**62, 0], 1.0, [2, 2]),
]


@pytest.mark.parametrize(("groups", "power", "want"), TABLE)
def test_sizes_of_oversampled_groups_by_hand(groups: list[int], power: float, want: list[int]) -> None:
    group = np.array(groups)
    known = np.maximum(group, -1)
    how = replace(OVERSAMPLE, power=power)
    for epoch in range(4):
        copies = copies_of(group, how, epoch=epoch)
        assert [int(copies[known == g].sum()) for g in np.unique(known)] == want
        for g in np.unique(known):
            assert copies[known == g].max() - copies[known == g].min() <= 1
    assert epoch_length(np.arange(len(group)), group, group, how) == sum(want)


@settings(deadline=None, max_examples=40)
@given(sides(), st.floats(0, 1), st.integers(0, 20), st.integers(1, 12))
def test_oversampling_shows_every_row_and_takes_turns_with_the_rest(
    side: tuple[np.ndarray, np.ndarray, np.ndarray], power: float, start: int, count: int
) -> None:
    rows, group, unit = side
    epochs = epochs_of(rows, group, unit, replace(OVERSAMPLE, power=power), start + count)
    assert all(set(epoch) == set(rows.tolist()) for epoch in epochs)
    shown = Counter(flat(epochs[start:]))
    sizes = Counter(group[group >= 0].tolist())
    assert all(spread(shown, rows[group == g].tolist()) <= 1 for g in sizes)
    assert not (group < 0).any() or spread(shown, rows[group < 0].tolist()) <= 1
    for g, size in sizes.items():  # the formula, to the nearest whole number
        total = size * (size / max(sizes.values())) ** -power
        assert abs(sum(shown[row] for row in rows[group == g].tolist()) - count * total) <= count * (0.5 + 1e-9)


def test_equal_groups_are_a_shuffle() -> None:
    rows = np.arange(12)
    for group in (rows % 3, rows * 0, rows * 0 - 1):
        order = epoch_rows(rows, group, rows, OVERSAMPLE, seed=2, epoch=5)
        np.testing.assert_array_equal(order, epoch_order(rows, seed=2, epoch=5))


def test_parts_of_an_oversampled_pass_are_the_pass() -> None:
    group = array(0, 0, 0, 0, 0, 1, 1, 1)
    rows = np.arange(8)
    halves = epochs_of(rows, group, rows, replace(OVERSAMPLE, fraction=0.5), 6)
    assert [len(half) for half in halves] == [5] * 6
    assert [halves[i] + halves[i + 1] for i in (0, 2, 4)] == epochs_of(rows, group, rows, OVERSAMPLE, 3)


# --- turns


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5), max_size=60))
def test_turns_count_what_came_before(rows: list[int]) -> None:
    turn = turns(np.array(rows, dtype=np.int64))
    assert turn.dtype == np.int64
    assert turn.tolist() == [rows[:i].count(row) for i, row in enumerate(rows)]


def test_a_million_rows() -> None:
    """Large enough that a loop over rows, or a product that overflows 32 bits, would be noticed."""
    rows = np.arange(1_000_000)
    group, unit = (rows // 5) % 7 // 3, rows // 5  # groups 0, 1 and 2 of 3 : 3 : 1
    how = Sampling("oversample", power=1.0, one_per_person=True, fraction=1.0)
    order = epoch_rows(rows, group, unit, how, seed=0, epoch=10_000)
    counts = np.bincount(group[order])
    assert counts.tolist() == [np.bincount(group[::5]).max()] * 3
    assert np.bincount(turns(order)).tolist()[0] == 200_000
    assert turns(order).max() in (2, 3)
