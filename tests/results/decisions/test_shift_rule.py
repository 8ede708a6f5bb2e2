"""Class shares of new rows: planted shifts, and the likelihood maximised another way."""

from __future__ import annotations

import numpy as np
import pytest
from calibrated_rows import PAIR, THREE, Doubles, case, softmax
from scipy.optimize import minimize

from maskcls.labels import Ints
from maskcls.results.decisions.shift_rule import shift_rule, shifted_prior


def gaussians(shares: Doubles, rows: int, seed: int) -> tuple[Doubles, Ints]:
    """Return log-likelihoods (N, 3) of points in the plane around three means, and their classes."""
    rng = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    true_N = rng.choice(3, size=rows, p=shares)
    points = means[true_N] + rng.normal(size=(rows, 2))
    return -0.5 * ((points[:, None] - means) ** 2).sum(axis=2), true_N


@pytest.mark.parametrize("new", [[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.02, 0.38, 0.6]])
def test_a_planted_shift_is_recovered(new: list[float]) -> None:
    prior_C = np.array([0.6, 0.3, 0.1])
    likely_NC, true_N = gaussians(np.array(new), 8000, seed=0)
    prob_NC = softmax(likely_NC + np.log(prior_C))
    share_C = shifted_prior(prob_NC, prior_C)
    np.testing.assert_allclose(share_C, new, atol=0.02)  # 8,000 points know a share to about 0.007
    rule = shift_rule(prob_NC, prior_C, THREE)
    np.testing.assert_allclose(list(rule.numbers.values()), share_C, atol=1e-9)
    right = softmax(likely_NC + np.log(share_C))
    np.testing.assert_allclose(rule.adjusted(prob_NC), right, atol=1e-6)
    if new != prior_C.tolist():
        assert (rule.labels(prob_NC) == true_N).mean() > (prob_NC.argmax(axis=1) == true_N).mean() + 0.005


def test_the_shares_are_the_likeliest_by_another_way() -> None:
    prior_C = np.array([0.5, 0.3, 0.2])
    prob_NC = softmax(gaussians(np.array([0.2, 0.2, 0.6]), 300, seed=1)[0] + np.log(prior_C))

    def loss(logits: Doubles) -> float:
        return -float(np.log((prob_NC / prior_C) @ softmax(logits[None])[0]).mean())

    found = softmax(minimize(loss, np.zeros(3), tol=1e-10).x[None])[0]
    np.testing.assert_allclose(shifted_prior(prob_NC, prior_C), found, atol=1e-4)


def test_shares_of_tasks_are_multiplied_and_those_of_joint_classes_are_not() -> None:
    prob_NJ, *_ = case(50, PAIR, 0)
    prior_J = np.array([0.4, 0.3, 0.2, 0.1])
    a = shifted_prior(prob_NJ.reshape(-1, 2, 2).sum(axis=2), np.array([0.7, 0.3]))
    b = shifted_prior(prob_NJ.reshape(-1, 2, 2).sum(axis=1), np.array([0.6, 0.4]))
    rule = shift_rule(prob_NJ, prior_J, PAIR)
    np.testing.assert_allclose(np.exp(rule.bias), np.outer(a / [0.7, 0.3], b / [0.6, 0.4]).ravel())
    assert list(rule.numbers) == ["a 0", "a 1", "b 0", "b 1"]
    joint = shift_rule(prob_NJ, prior_J, PAIR, by_task=False)
    np.testing.assert_allclose(np.exp(joint.bias), shifted_prior(prob_NJ, prior_J) / prior_J)
    # what the corrected rows say on average is what they were corrected for
    np.testing.assert_allclose(joint.adjusted(prob_NJ).mean(axis=0), list(joint.numbers.values()), atol=1e-4)


def test_trusted_training_shares_are_a_dirichlet_prior() -> None:
    prior_C = np.array([0.5, 0.3, 0.2])
    prob_NC = softmax(gaussians(np.array([0.2, 0.2, 0.6]), 300, seed=1)[0] + np.log(prior_C))

    def loss(logits: Doubles) -> float:
        share_C = softmax(logits[None])[0]
        return -float(np.log((prob_NC / prior_C) @ share_C).mean() + 0.5 * prior_C @ np.log(share_C))

    found = softmax(minimize(loss, np.zeros(3), tol=1e-10).x[None])[0]
    np.testing.assert_allclose(shifted_prior(prob_NC, prior_C, trust=0.5), found, atol=1e-4)
    np.testing.assert_allclose(shifted_prior(prob_NC, prior_C, trust=1e9), prior_C, atol=1e-6)
    rule = shift_rule(prob_NC, prior_C, THREE, trust=0.5)
    np.testing.assert_allclose(list(rule.numbers.values()), found, atol=1e-4)


def test_shares_that_are_none_are_refused() -> None:
    for prob_NC, prior_C in (
        (np.ones((2, 2)) / 2, [1.0, 0.0]),
        (np.zeros((0, 2)), [0.5, 0.5]),
        (np.ones((1, 2)), [1.0]),
    ):
        with pytest.raises(ValueError, match="shares"):
            shifted_prior(prob_NC, np.array(prior_C))
