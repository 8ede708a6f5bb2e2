"""Whole groups of out-of-fold rows: who stands in for people of other folds, by hand and by properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcls.results.people.stand_ins import GroupRows, cut_rows, whole_rows


def test_a_person_of_another_fold_is_replaced_by_one_with_the_same_labels() -> None:
    # Fold 0: ann (kind 0), cat (kind 1), dan (kind 0); fold 1: bob (kind 1), eve (kind 0). Two photos each.
    person = np.repeat(["ann", "cat", "dan", "bob", "eve"], 2)
    fold, kind = np.repeat([0, 0, 0, 1, 1], 2), np.repeat([0, 1, 0, 1, 0], 2)
    group = np.array([0, 0, 1, 1, 2, 2, 0, 0, 3, 3])  # ann and bob are taken for one person
    for seed in range(5):
        found = whole_rows(group, fold, person, kind, np.tile([0, 1], 5), seed=seed)
        assert found.take_E[:10].tolist() == list(range(10))
        parts = {g: sorted(found.take_E[found.group_E == g].tolist()) for g in set(found.group_E.tolist())}
        # Seen from ann, cat stands in for bob, photo by photo; seen from bob, eve stands in for ann.
        assert sorted(parts.values()) == [[0, 1, 2, 3], [2, 3], [4, 5], [6, 7, 8, 9], [8, 9]]


def test_photos_of_the_same_class_stand_in_each_once_before_one_is_repeated() -> None:
    person, fold = np.array([0, 1, 1, 1, 2, 2, 2]), np.array([0, 1, 1, 1, 0, 0, 0])
    group, kind = np.array([0, 0, 0, 0, 1, 1, 1]), np.zeros(7, np.int64)
    found = whole_rows(group, fold, person, kind, np.array([0, 5, 5, 5, 5, 5, 9]), seed=0)
    for_zero = found.take_E[7:][found.group_E[7:] == found.group_E[0]].tolist()
    assert (len(for_zero), set(for_zero)) == (3, {4, 5})
    assert found.take_E[7:].tolist().count(6) == 0  # its class is not asked for
    other = whole_rows(group, fold, person, kind, np.array([0, 7, 7, 7, 5, 5, 5]), seed=0)
    assert set(other.take_E[7:][other.group_E[7:] == other.group_E[0]].tolist()) == {4, 5, 6}  # none is of class 7


def test_without_the_same_labels_another_person_stands_in_and_without_a_person_none() -> None:
    person, fold = np.array([0, 1, 2]), np.array([0, 1, 0])
    ones = np.zeros(3, np.int64)
    found = whole_rows(np.array([0, 0, 1]), fold, person, np.array([0, 1, 0]), ones, seed=0)
    assert found.take_E.tolist() == [0, 1, 2, 2]
    nobody = whole_rows(np.zeros(2, np.int64), fold[:2], person[:2], ones[:2], ones[:2], seed=0)
    assert nobody.take_E.tolist() == [0, 1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.0, 0.3, 1.0]))
def test_no_element_is_of_another_fold_and_stand_ins_are_nobody_of_the_group(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(80), 3)  # 20 people per fold: more than a group has
    fold, kind = (np.arange(80) % 4)[person], rng.integers(3, size=80)[person]
    group = np.where(rng.random(240) < spread, rng.integers(80, size=240), 200 + person)
    found = whole_rows(group, fold, person, kind, rng.integers(3, size=240), seed=seed)
    again = whole_rows(group, fold, person, kind, rng.integers(3, size=240) * 0, seed=seed)
    assert len(again.take_E) == len(found.take_E)
    for number in set(found.group_E.tolist()):
        taken = found.take_E[found.group_E == number]
        own = taken[taken < 240][: int((found.group_E[:240] == number).sum())]
        inside = set(person[group == group[own[0]]].tolist())
        assert len(set(fold[taken].tolist())) == 1
        assert not inside & set(person[taken[len(own) :]].tolist())
        # As many elements as the group has photos: the share of wrong pairs is that of the whole group.
        assert len(taken) == int((group == group[own[0]]).sum())


def test_without_wrong_groups_both_ways_are_the_same() -> None:
    person, fold = np.repeat(np.arange(6), 2), np.repeat(np.arange(6) % 2, 2)
    whole = whole_rows(person, fold, person, person % 3, person * 0, seed=0)
    cut: GroupRows = cut_rows(person, fold)
    assert np.array_equal(whole.take_E, cut.take_E)
    assert np.array_equal(whole.group_E, cut.group_E)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_choice_is_drawn_by_the_seed(seed: int) -> None:
    person = np.repeat(np.arange(40), 2)
    fold, group = person % 2, person // 2
    zero = person * 0
    one, two = (whole_rows(group, fold, person, zero, zero, seed=s) for s in (seed, seed))
    other = whole_rows(group, fold, person, zero, zero, seed=seed + 2)
    assert np.array_equal(one.take_E, two.take_E)
    assert not np.array_equal(one.take_E, other.take_E)
