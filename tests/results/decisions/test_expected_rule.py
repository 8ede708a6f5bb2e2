"""The rule with the highest expected macro-F1, against all labellings together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from calibrated_rows import THREE, Doubles, case, drawn, macro_f1, softmax

from maskcls.labels import Ints
from maskcls.results.decisions.expected_rule import expected_rule


def expected_macro_f1(prob_NC: Doubles, label_N: Ints) -> float:
    """With probabilities in the place of counts, class by class."""
    scores = []
    for c in range(prob_NC.shape[1]):
        answers = label_N == c
        scores.append(2 * prob_NC[answers, c].sum() / (prob_NC[:, c].sum() + answers.sum()))
    return float(np.mean(scores))


def test_nearly_all_is_found_of_what_every_labelling_together_could_give() -> None:
    every = [np.array(one) for one in itertools.product(range(3), repeat=6)]
    reached = []
    for seed in range(8):
        prob_NC = case(2, THREE, seed, photos=3)[0]
        best = max(expected_macro_f1(prob_NC, one) for one in every)
        plain = expected_macro_f1(prob_NC, prob_NC.argmax(axis=1))
        got = expected_macro_f1(prob_NC, expected_rule(prob_NC).labels(prob_NC))
        assert best + 1e-12 >= got >= plain - 1e-12
        reached.append((got, best, plain))
    total_got, total_best, total_plain = np.mean(reached, axis=0)
    assert len(every) == 729
    assert total_got > total_best - 0.01  # the turns may end beside the best of all
    assert total_got > total_plain + 0.01


def test_a_rare_class_is_answered_more_often_than_it_is_the_likeliest() -> None:
    rng = np.random.default_rng(0)
    prob_NC = softmax(rng.normal(size=(4000, 3)) + np.array([1.5, 1.0, -1.5]))
    true_N, plain_N = drawn(prob_NC, rng), prob_NC.argmax(axis=1)
    label_N = expected_rule(prob_NC).labels(prob_NC)
    assert (label_N == 2).sum() > 2 * (plain_N == 2).sum()
    assert macro_f1(true_N, label_N) > macro_f1(true_N, plain_N) + 0.05


def test_sure_rows_are_answered_as_they_are() -> None:
    rows = np.eye(3)[[0, 1, 1, 2]]
    rule = expected_rule(rows)
    assert rule.labels(rows).tolist() == [0, 1, 1, 2]
    assert not any(rule.bias)
    with pytest.raises(ValueError, match="no rows"):
        expected_rule(np.zeros((0, 3)))


def test_a_class_nobody_can_have_does_no_harm() -> None:
    prob_NC = np.hstack([case(20, THREE, 0)[0], np.zeros((80, 1))])
    rule = expected_rule(prob_NC)
    assert np.isfinite(rule.bias).all()
    assert rule.labels(prob_NC).max() == 2
