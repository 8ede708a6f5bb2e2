"""The single member an ensemble is compared with is chosen on other people than those it is scored on."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import f1_score

from maskcls.results.ensembles.rival import nested_rival


def test_each_fold_is_answered_by_the_member_that_is_best_on_the_others() -> None:
    truth = np.array([0, 1, 0, 1, 0, 1])
    fold = np.array([0, 0, 1, 1, 2, 2])
    a = np.array([0, 1, 1, 0, 0, 1])  # right on folds 0 and 2
    b = np.array([1, 0, 0, 1, 1, 0])  # right on fold 1
    found = nested_rival([b, a], truth, fold, 2)
    # without fold 0: a and b each have one fold, so the first of equals, b; without 1: a; without 2: b
    assert found.labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert dict(found.chosen) == {0: 2, 1: 1}
    assert found.macro_f1 == 0.0


def test_one_better_member_is_chosen_everywhere_and_scored_as_it_is() -> None:
    rng = np.random.default_rng(0)
    truth, fold = rng.integers(3, size=300), np.arange(300) % 5
    good, bad = (np.where(rng.random(300) < share, truth, rng.integers(3, size=300)) for share in (0.8, 0.2))
    found = nested_rival([bad, good], truth, fold, 3)
    assert dict(found.chosen) == {1: 5}
    assert found.labels.tolist() == good.tolist()
    assert abs(found.macro_f1 - f1_score(truth, good, average="macro")) < 1e-12


def test_rows_without_a_truth_choose_nothing() -> None:
    truth, fold = np.array([0, 1, -1, -1, 0, 1]), np.array([0, 0, 0, 0, 1, 1])
    a, b = np.array([0, 1, 1, 1, 1, 0]), np.array([0, 0, 0, 0, 0, 1])
    found = nested_rival([a, b], truth, fold, 2)
    assert found.labels.tolist() == [0, 0, 0, 0, 1, 0]  # fold 1's truth prefers b, fold 0's known rows prefer a


def test_equal_members_are_not_punished_for_being_many() -> None:
    """Picked on the rows that score it, the best of 20 equals gains; chosen on the other folds it does not."""
    rng, gains = np.random.default_rng(1), []
    for _ in range(40):
        truth, fold = rng.integers(2, size=200), np.arange(200) % 5
        members = [np.where(rng.random(200) < 0.7, truth, 1 - truth) for _ in range(20)]
        scores = [f1_score(truth, one, average="macro") for one in members]
        assert max(scores) - np.mean(scores) > 0.02  # the bias there would be
        gains.append(nested_rival(members, truth, fold, 2).macro_f1 - np.mean(scores))
    assert abs(np.mean(gains)) < 0.015  # standard error 0.005
