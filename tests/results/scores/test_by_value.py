"""Scores by the true whole number, worked out by hand."""

import numpy as np
import pytest

from maskcls.labels import Task
from maskcls.results.scores.by_value import value_scores
from maskcls.results.scores.intervals import share_interval

AGE = Task("age", ("<30", "30-59", ">=60"), (30, 60))


def test_each_number_is_scored_against_its_own_band() -> None:
    value_N = np.array([29, 30, 29, 60, 30, 30, -1])
    given_N = np.array([0, 0, 1, 2, 1, 2, 0])
    people_N = np.array(["a", "b", "c", "d", "b", "e", "f"])

    found = value_scores(value_N, given_N, AGE, people_N)

    assert [(one.name, one.band, one.rows, one.people) for one in found] == [
        ("29", "<30", 2, 2),
        ("30", "30-59", 3, 2),
        ("60", ">=60", 1, 1),
    ]
    assert [(one.right, one.lower, one.higher) for one in found] == [
        (1 / 2, 0, 1 / 2),
        (pytest.approx(1 / 3), pytest.approx(1 / 3), pytest.approx(1 / 3)),
        (1, 0, 0),
    ]
    assert found[1].interval == share_interval(np.array([False, True, False]), np.array(["b", "b", "e"]))


def test_a_border_begins_a_new_group() -> None:
    value_N = np.arange(26, 34)
    found = value_scores(value_N, np.zeros(8, np.int64), AGE, width=3)
    assert [(one.low, one.high, one.rows) for one in found] == [(26, 28, 3), (29, 29, 1), (30, 32, 3), (33, 33, 1)]
    assert [one.people for one in found] == [None] * 4


def test_the_largest_number_may_be_a_border() -> None:
    found = value_scores(np.arange(26, 31), np.zeros(5, np.int64), AGE, width=10)
    assert [(one.name, one.band, one.right) for one in found] == [("26-29", "<30", 1), ("30", "30-59", 0)]


def test_many_numbers_are_taken_together() -> None:
    task = Task("income", ("low", "high"), (500,))
    found = value_scores(np.arange(1000), np.zeros(1000, np.int64), task)
    assert 50 <= len(found) <= 102
    assert sum(one.rows for one in found) == 1000
    assert {one.rows for one in found} == {10}


def test_without_numbers_there_is_nothing() -> None:
    assert value_scores(np.full(3, -1), np.zeros(3, np.int64), AGE) == ()


def test_a_task_without_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="mask has no bins"):
        value_scores(np.array([1]), np.array([0]), Task("mask", ("a", "b")))
