"""Exchanging people between folds: what it computes, that nothing better is one exchange away, what it never does."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from maskcls.data.rows import balance
from maskcls.data.rows.folds import balanced_folds, make_folds

COUNTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4), st.integers(0, 2)), min_size=2, max_size=14)


def by_hand(fold_P: list[int], count_PF: np.ndarray, share_K: list[int]) -> float:
    """Return the unevenness in float64, with a loop: weighted squares of (count - share of the total) * sum(share)."""
    total = 0.0
    for f in range(count_PF.shape[1]):
        whole = float(count_PF[:, f].sum())
        weight = (8 if f == 0 else 1) * max(1, int(2**31 / max((whole / len(share_K)) ** 2, 1)))
        for fold, share in enumerate(share_K):
            here = float(sum(count_PF[p, f] for p in range(len(fold_P)) if fold_P[p] == fold))
            total += weight * (sum(share_K) * here - share * whole) ** 2
    return total


def test_counts_of_three_people() -> None:
    who_N = np.array([0, 0, 1, 2, 2, 2])
    mask, gender = np.array([0, 2, 0, 0, 0, -1]), np.array([1, -1, 0, 1, 1, 1])
    photos = balance.photo_counts(who_N, {"mask": mask, "gender": gender})
    # all, mask 0, mask 2 (mask 1 does not occur), gender 0, gender 1
    assert photos.tolist() == [[2, 1, 1, 0, 1], [1, 1, 0, 1, 0], [3, 2, 0, 0, 3]]
    assert balance.people_counts(who_N, {"gender": gender}).tolist() == [[1, 0, 1], [1, 1, 0], [1, 0, 1]]


def test_finer_strata_divide_by_the_rarest_class_and_by_photos() -> None:
    stratum = np.array([1, 0, 0, 0, 0])
    photos = np.array([[9, 9, 0], [4, 4, 0], [4, 3, 1], [4, 4, 0], [7, 7, 0]])  # class 1 of 1 photo is the rarest
    finer = balance.finer_strata(stratum, photos)
    assert finer[1] == finer[3]
    assert len(set(finer.tolist())) == 4
    assert finer[0] == finer.max()  # the order of the strata is kept


@settings(deadline=None, max_examples=40)
@given(COUNTS, st.integers(2, 4), st.randoms(use_true_random=False))
def test_nothing_better_is_one_exchange_away(rows: list[tuple[int, int, int]], k: int, random: object) -> None:
    count_PF, share = np.array(rows), [1] * k if len(rows) % 2 else [1, 4]
    start = np.array([p % len(share) for p in range(len(rows))])
    order = np.array(random.sample(range(len(rows)), len(rows)))
    found = balance.exchange(start, count_PF, np.array(share), order).tolist()
    before, after = (by_hand(list(fold), count_PF, share) for fold in (start, found))
    assert after <= before
    assert balance.unevenness(np.array(found), count_PF, np.array(share)) == after
    for one, other in combinations(range(len(found)), 2):
        swapped = found.copy()
        swapped[one], swapped[other] = found[other], found[one]
        assert by_hand(swapped, count_PF, share) >= after
    for person, fold in enumerate(found):
        for other in range(len(share)):
            moved = [other if p == person else f for p, f in enumerate(found)]
            assert fold not in moved or by_hand(moved, count_PF, share) >= after
    if len(rows) >= len(share):
        assert set(found) == set(range(len(share)))  # no fold is empty


def test_an_exchange_by_hand() -> None:
    # 6 + 5 against 2 + 1 photos; 6 + 1 against 5 + 2 is even, and one swap away
    photos = np.array([[6], [5], [2], [1]])
    found = balance.exchange(np.array([0, 0, 1, 1]), photos, np.array([1, 1]), np.arange(4))
    assert (found == found[0]).tolist() in ([True, False, False, True], [True, False, True, False])
    assert balance.difference(found, photos, np.array([1, 1])).tolist() == [[0], [0]]


def test_large_counts_do_not_overflow() -> None:
    """A hundred folds, and one person with a million photos: an overflow would make a bad exchange look good."""
    rng = np.random.default_rng(0)
    count_PF = rng.integers(1, 30, (400, 6))
    count_PF[0] = 1_000_000
    start = np.arange(400) % 100
    found = balance.exchange(start, count_PF, np.ones(100, dtype=np.int64), np.arange(400))
    even = np.ones(100, dtype=np.int64)
    assert balance.unevenness(found, count_PF, even) < balance.unevenness(start, count_PF, even)


def test_of_many_people_those_of_rare_classes_are_exchanged() -> None:
    """Six people alone have photos of a rare class; they are last in the order, of which the first 500 are tried."""
    people = 3000
    order = np.append(np.random.default_rng(0).permutation(people - 6), np.arange(people - 6, people))
    count_PF = np.ones((people, 2), dtype=np.int64)
    count_PF[:-6, 1] = 0
    start = np.arange(people) * 3 // people
    assert start[-6:].tolist() == [2] * 6
    found = balance.exchange(start, count_PF, np.ones(3, dtype=np.int64), order)
    assert sorted(found[-6:].tolist()) == [0, 0, 1, 1, 2, 2]
    assert np.bincount(found).tolist() == [1000] * 3


# ---- whole fold tables ----------------------------------------------------------------------------------------------

PEOPLE = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(0, 2), min_size=1, max_size=6)), min_size=2, max_size=40
)


def table(people: list[tuple[int, list[int]]]) -> tuple[list[str], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return each photo's person, and the labels of `own` (constant per person) and of `mask`."""
    names = [f"p{i}" for i, (_, masks) in enumerate(people) for _ in masks]
    own = np.array([group for group, masks in people for _ in masks])
    return names, {"own": own}, {"mask": np.array([mask for _, masks in people for mask in masks])}


def folds_of(names: list[str], own: dict[str, np.ndarray], other: dict[str, np.ndarray], **how: int) -> np.ndarray:
    return balanced_folds(names, own["own"], own, other, **{"k": 3, "seed": 0} | how)


@settings(deadline=None, max_examples=40)
@given(PEOPLE, st.integers(1, 5), st.integers(0, 3), st.randoms(use_true_random=False))
def test_people_stay_whole_and_the_order_of_rows_does_not_matter(
    people: list[tuple[int, list[int]]], k: int, seed: int, random: object
) -> None:
    names, own, other = table(people)
    if len(people) < max(k, 2):
        return
    fold_N = folds_of(names, own, other, k=k, seed=seed)
    assert set(fold_N.tolist()) == ({0, -1} if k == 1 else set(range(k)))
    fold = dict(zip(names, fold_N.tolist(), strict=True))
    assert [fold[name] for name in names] == fold_N.tolist()
    order = random.sample(range(len(names)), len(names))
    mixed = folds_of(
        [names[i] for i in order], {"own": own["own"][order]}, {"mask": other["mask"][order]}, k=k, seed=seed
    )
    assert mixed.tolist() == fold_N[order].tolist()


@settings(deadline=None, max_examples=40)
@given(PEOPLE, st.integers(2, 5))
def test_never_less_even_than_people_alone(people: list[tuple[int, list[int]]], k: int) -> None:
    names, own, other = table(people)
    if len(people) < k:
        return
    who = np.array([int(name[1:]) for name in names])
    counts = np.concatenate([balance.photo_counts(who, own | other), balance.people_counts(who, own)], axis=1)
    row = np.unique(who, return_index=True)[1]
    found, alone = folds_of(names, own, other, k=k), make_folds(names, own["own"], k=k)
    after, before = (by_hand(fold_N[row].tolist(), counts, [1] * k) for fold_N in (found, alone))
    assert after <= before


@pytest.mark.parametrize("k", [1, 2, 5])
def test_of_the_contest_the_folds_are_those_of_people_alone(k: int) -> None:
    """Seven photos per person, five with a mask, one with it below the nose, one without."""
    rng = np.random.default_rng(k)
    gender, age = rng.integers(0, 2, 90), rng.choice(3, 90, p=[0.5, 0.42, 0.08])
    names = [f"p{i}" for i in range(90) for _ in range(7)]
    own = {"gender": np.repeat(gender, 7), "age": np.repeat(age, 7)}
    other = {"mask": np.tile([0, 0, 0, 0, 0, 1, 2], 90)}
    stratum = 4 * own["gender"] + own["age"]
    for seed in range(4):
        found = balanced_folds(names, stratum, own, other, k=k, seed=seed)
        assert found.tolist() == make_folds(names, stratum, k=k, seed=seed).tolist()


def test_many_tasks_with_one_photo_each_are_balanced_too() -> None:
    """By people alone, strata of 64 combinations balance the first tasks and leave the last to chance."""
    rng = np.random.default_rng(0)
    own = {f"t{i}": rng.integers(0, 2, 120) for i in range(6)}
    stratum = sum(2**i * v for i, v in enumerate(reversed(own.values())))
    names = [f"p{i}" for i in range(120)]

    def spreads(fold_N: np.ndarray) -> list[int]:
        return [int(np.ptp(np.bincount(fold_N[v == 1], minlength=4))) for v in own.values()]

    assert max(spreads(make_folds(names, stratum, k=4))) > 3
    assert max(spreads(balanced_folds(names, stratum, own, {}, k=4))) <= 1


def test_the_hold_out_has_its_share_of_photos() -> None:
    rng = np.random.default_rng(0)
    names = [f"p{i}" for i, n in enumerate(rng.integers(2, 21, 150)) for _ in range(n)]
    none = np.zeros(len(names), dtype=np.int64)
    held, alone = (fold_N == 0 for fold_N in (folds_of(names, {"own": none}, {}, k=1), make_folds(names, none, k=1)))
    assert abs(held.mean() - 0.2) < 0.002 < abs(alone.mean() - 0.2)
    assert len({name for name, here in zip(names, held, strict=True) if here}) == 30  # a fifth of the people


@pytest.mark.parametrize("seed", range(3))
def test_more_even_than_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = [(int(rng.integers(0, 3)), rng.integers(0, 3, rng.integers(2, 21)).tolist()) for _ in range(150)]
    names, own, other = table(people)
    joint = 3 * own["own"] + other["mask"]
    theirs = np.zeros(len(names), dtype=np.int64)
    for fold, (_, rows) in enumerate(StratifiedGroupKFold(5).split(joint, joint, names)):
        theirs[rows] = fold
    ours = folds_of(names, own, other, k=5)

    def shares(fold_N: np.ndarray) -> tuple[float, float]:
        size = np.bincount(fold_N) / len(fold_N)
        kinds = [label_N == c for label_N in (own["own"], other["mask"]) for c in range(3)]
        return float(np.ptp(size)), max(np.ptp(np.bincount(fold_N[kind]) / kind.sum()) for kind in kinds)

    assert all(mine <= its / 2 for mine, its in zip(shares(ours), shares(theirs), strict=True))


def test_the_balanced_table_is_the_same_for_ever() -> None:
    # Written down once, as `make_folds`' is; a change here gives new runs other folds than saved ones.
    people = [(i % 2, [0] * (1 + i % 4) + [2] * (i % 3)) for i in range(12)]
    names, own, other = table(people)
    fold = dict(zip(names, folds_of(names, own, other, seed=7).tolist(), strict=True))
    assert list(fold.values()) == [2, 2, 2, 1, 0, 1, 1, 2, 1, 0, 0, 0]
