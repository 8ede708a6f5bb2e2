"""Labels after a planted change of class shares: better for macro-F1, and no harm where nothing changed."""

from __future__ import annotations

import numpy as np
from calibrated_rows import THREE, Doubles, softmax

from maskcls.labels import Ints
from maskcls.results.decisions.expected_rule import expected_rule
from maskcls.results.decisions.shift_rule import shift_rule
from maskcls.results.decisions.shifted_labels import TRUST, shifted_labels
from maskcls.results.scores.metrics import confusion, macro_f1

PRIOR = np.array([0.48, 0.45, 0.07])


def rows(shares: list[float], count: int, seed: int) -> tuple[Doubles, Ints]:
    """Return calibrated probabilities (N, 3) of overlapping classes for a training with PRIOR, and the truth."""
    rng = np.random.default_rng(seed)
    true_N = rng.choice(3, size=count, p=shares)
    means = np.array([[-1.0, 0.0], [0.5, 0.0], [1.5, 0.5]])
    points = means[true_N] + rng.normal(size=(count, 2))
    return softmax(-0.5 * ((points[:, None] - means) ** 2).sum(axis=2) + np.log(PRIOR)), true_N


def score(true_N: Ints, label_N: Ints) -> float:
    return macro_f1(confusion(true_N, label_N, 3))


def test_a_class_that_became_frequent_gains() -> None:
    prob_NC, true_N = rows([0.2, 0.2, 0.6], 6000, 0)
    plain, same = prob_NC.argmax(axis=1), expected_rule(prob_NC).labels(prob_NC)
    found = score(true_N, shifted_labels(prob_NC, PRIOR, THREE))
    assert found > score(true_N, plain) + 0.05
    assert found > score(true_N, same) + 0.02


def test_a_class_that_became_rare_is_still_answered() -> None:
    prob_NC, true_N = rows([0.6, 0.38, 0.02], 6000, 1)
    by_argmax = shift_rule(prob_NC, PRIOR, THREE).labels(prob_NC)
    assert score(true_N, shifted_labels(prob_NC, PRIOR, THREE)) > score(true_N, by_argmax) + 0.02


def test_without_a_change_nothing_is_lost_and_the_training_shares_count() -> None:
    prob_NC, true_N = rows(PRIOR.tolist(), 6000, 2)
    found = shifted_labels(prob_NC, PRIOR, THREE)
    assert score(true_N, found) > score(true_N, expected_rule(prob_NC).labels(prob_NC)) - 0.01
    few_NC, _ = rows([0.2, 0.2, 0.6], 60, 3)
    corrected = shift_rule(few_NC, PRIOR, THREE, trust=TRUST).adjusted(few_NC)
    assert shifted_labels(few_NC, PRIOR, THREE).tolist() == expected_rule(corrected).labels(corrected).tolist()
