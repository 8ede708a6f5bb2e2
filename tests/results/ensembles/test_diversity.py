"""Members against each other: scikit-learn's kappa, numpy's correlation, scores with a member left out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score
from test_weight_search import case

from maskcls.labels import Ints
from maskcls.results.ensembles.diversity import correlation, kappa, member_value


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def test_kappa_equals_scikit_learns() -> None:
    members, _ = case(300, [0.5, 1.0, 2.0, 4.0])
    labels_MN = [member.argmax(axis=1) for member in members]
    got = kappa(labels_MN, 4)
    assert got.shape == (4, 4)
    for a in range(4):
        for b in range(4):
            assert got[a, b] == pytest.approx(cohen_kappa_score(labels_MN[a], labels_MN[b]), abs=1e-12)


def test_kappa_by_hand() -> None:
    # agree on 3 of 4; by chance 3/4 * 2/4 + 1/4 * 2/4 = 1/2
    got = kappa([ints(0, 0, 0, 1), ints(0, 0, 1, 1)], 2)
    assert got.tolist() == [[1, 0.5], [0.5, 1]]
    opposite = kappa([ints(0, 1), ints(1, 0)], 2)
    assert opposite[0, 1] == -1


def test_kappa_of_one_class_alone_is_undefined() -> None:
    got = kappa([ints(1, 1, 1), ints(1, 1, 1), ints(0, 1, 1)], 2)
    assert math.isnan(got[0, 0])
    assert math.isnan(got[0, 1])
    assert (got[0, 2], got[2, 2]) == (0, 1)


def test_correlation_equals_numpys() -> None:
    members, true_N = case(300, [0.5, 1.0, 2.0])
    hidden_N = np.where(np.arange(300) % 4 == 0, -1, true_N)
    known = np.flatnonzero(hidden_N >= 0)
    expected = np.corrcoef([member[known, true_N[known]] for member in members])
    assert np.allclose(correlation(members, hidden_N), expected, atol=1e-7)
    assert expected[0, 1] < 0.99


def test_correlation_with_a_member_that_says_always_the_same() -> None:
    (member,), true_N = case(50, [0.5])
    got = correlation([member, np.full_like(member, 0.25)], true_N)
    assert got[0, 0] == pytest.approx(1)
    assert np.isnan([got[0, 1], got[1, 0], got[1, 1]]).all()


def test_value_of_a_member_is_what_is_lost_without_it() -> None:
    members, true_N = case(300, [0.6, 1.0, 3.0], seed=1)
    weights = np.array([0.5, 0.2, 0.3])
    hidden_N = np.where(np.arange(300) % 5 == 0, -1, true_N)
    known = hidden_N >= 0

    def score(kept: list[int]) -> float:
        mixed = sum(weights[m] * members[m].astype(np.float64) for m in kept)
        return float(f1_score(true_N[known], np.argmax(mixed, axis=1)[known], average="macro"))

    expected = [score([0, 1, 2]) - score([m for m in range(3) if m != left]) for left in range(3)]
    got = member_value(members, hidden_N, weights)
    assert np.allclose(got, expected, atol=1e-12)
    assert got[0] > 0
    assert not np.allclose(got, member_value(members, hidden_N, np.ones(3)))


def test_value_where_nothing_is_left() -> None:
    members, true_N = case(20, [0.5, 0.5])
    one, two = member_value(members, true_N, np.array([1.0, 0.0]))
    assert math.isnan(one)
    assert two == 0
    assert np.isnan(member_value(members, np.full(20, -1), np.ones(2))).all()


def test_a_twin_is_worth_nothing() -> None:
    (a, b), true_N = case(200, [0.8, 2.5], seed=2)
    assert member_value([a, a, b], true_N, np.array([1.0, 1.0, 0.0])).tolist() == [0, 0, 0]
