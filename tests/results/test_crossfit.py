"""Cross-fitting: what each fold learns from, what comes back where, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcls.labels import Floats, Ints
from maskcls.results.crossfit import cross_fit, cross_fit_members


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def test_hand_computed() -> None:
    # Means of the other folds' values: fold 3 learns from 1 and 2, fold 0 from 4 and 6, and gives value - mean.
    value_N = np.array([4.0, 1.0, 6.0, 2.0])
    got = cross_fit(ints(3, 0, 3, 0), lambda rows: value_N[rows].mean(), lambda mean, rows: value_N[rows] - mean)
    assert got.tolist() == [4 - 1.5, 1 - 5, 6 - 1.5, 2 - 5]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=30).filter(lambda folds: len(set(folds)) > 1))
def test_a_row_is_scored_by_what_never_saw_its_fold(folds: list[int]) -> None:
    fold_N = np.array(folds, dtype=np.int8)
    fitted: list[Ints] = []

    def fit(rows: Ints) -> Ints:
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()
        fitted.append(rows)
        return rows

    got = cross_fit(fold_N, fit, lambda learned, rows: np.array([len(set(learned.tolist()) - {r}) for r in rows]))

    assert len(fitted) == len(set(folds))
    for row, fold in enumerate(folds):
        others = [r for r, f in enumerate(folds) if f != fold]
        assert others in [rows.tolist() for rows in fitted]
        assert got[row] == len(others)


def test_rows_of_probabilities_go_back_to_their_places() -> None:
    prob_NJ = np.random.default_rng(0).random((7, 3)).astype(np.float32)
    got = cross_fit(ints(2, 0, 1, 1, 0, 2, 2), lambda rows: None, lambda _, rows: prob_NJ[rows])
    assert np.array_equal(got, prob_NJ)
    assert got.dtype == np.float32


def test_a_rule_that_only_remembers_its_rows_gains_nothing() -> None:
    """The planted leak: labels learned by heart are all right where they were learned, and none out of fold."""
    true_N = np.arange(12, dtype=np.int64)

    def recall(learned: Ints, rows: Ints) -> Ints:
        return np.where(np.isin(rows, learned), true_N[rows], -1)

    every = ints(*range(12))
    assert np.array_equal(recall(every, every), true_N)
    assert cross_fit(every % 4, lambda rows: rows, recall).tolist() == [-1] * 12


@pytest.mark.parametrize(
    ("fold_N", "what"),
    [
        (ints(2, 2, 2), "two folds"),
        (ints(), "two folds"),
        (ints(0, 1, -1), "at least 0"),
        (np.array([0.0, 1.0]), "whole numbers"),
        (np.array([[0, 1]]), "list"),
    ],
)
def test_folds_that_are_none(fold_N: Ints, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        cross_fit(fold_N, lambda rows: rows, lambda learned, rows: rows)


def test_results_that_do_not_fit() -> None:
    fold_N = ints(0, 0, 1, 1, 1)
    for apply in (
        lambda _, rows: np.zeros(2),  # too few for the second fold
        lambda _, rows: np.zeros((len(rows), len(rows))),  # another width
        lambda _, rows: np.zeros(len(rows), dtype=np.float32 if len(rows) == 2 else np.float64),
    ):
        with pytest.raises(ValueError, match="a fold of 3 rows"):
            cross_fit(fold_N, lambda rows: None, apply)


def test_members_and_truth_are_split_alike_and_the_own_truth_stays_hidden() -> None:
    a, b = (np.random.default_rng(seed).random((5, 2)).astype(np.float32) for seed in (0, 1))
    truth, fold_N = {"x": ints(0, 1, 2, 3, 4)}, ints(0, 1, 0, 1, 0)
    seen: list[list[int]] = []

    def fit(prob_MNJ: list[Floats], known: dict[str, Ints]) -> float:
        rows = known["x"]  # the truth is the row number here
        assert np.array_equal(prob_MNJ[0], a[rows])
        assert np.array_equal(prob_MNJ[1], b[rows])
        seen.append(rows.tolist())
        return float(rows.sum())

    got = cross_fit_members([a, b], truth, fold_N, fit, lambda total, part: part[0] + 2 * part[1] + np.float32(total))

    assert seen == [[1, 3], [0, 2, 4]]
    assert np.allclose(got, a + 2 * b + np.array([4, 6, 4, 6, 4])[:, None])


def test_members_of_other_rows_are_refused() -> None:
    good, short = np.zeros((4, 2), dtype=np.float32), np.zeros((3, 2), dtype=np.float32)
    for members, rows, folds in (([good, short], 4, 4), ([good, good], 3, 4), ([good, good], 4, 3)):
        truth, fold_N = {"x": np.zeros(rows, dtype=np.int64)}, np.arange(folds)
        with pytest.raises(ValueError, match="same rows"):
            cross_fit_members(members, truth, fold_N, lambda part, known: None, lambda _, part: part[0])
