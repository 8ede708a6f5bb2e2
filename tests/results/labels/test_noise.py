"""Pooling, borders and the mixture of right and wrong labels."""

import numpy as np
import pytest

from maskcls.labels import CONTEST, Task
from maskcls.results.labels.borders import far_classes, other_classes
from maskcls.results.labels.noise import Noise, agreed_issues, fit_noise, suspicion
from maskcls.results.labels.pooling import person_mean, pooled

AGE = CONTEST.task("age")


def simulated(units: int, share: float, *, sharpness: float, seed: int = 0):
    """Return, of two classes, probabilities (U, 2) that are right, given labels (U,) and which are wrong (U,)."""
    rng = np.random.default_rng(seed)
    one_U = 1 / (1 + np.exp(-rng.normal(0, sharpness, units)))
    true_U = (rng.random(units) < one_U).astype(np.int64)
    wrong_U = rng.random(units) < share
    return np.stack([1 - one_U, one_U], axis=1), np.where(wrong_U, 1 - true_U, true_U), wrong_U


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_the_share_of_wrong_labels_is_found(share: float) -> None:
    prob_UC, given_U, wrong_U = simulated(4000, share, sharpness=6)
    noise = fit_noise(prob_UC, given_U, other_classes(given_U, 2))
    assert noise.share == pytest.approx(wrong_U.mean(), abs=0.01)
    assert noise.temperature == pytest.approx(1, abs=0.15)
    # As the probabilities are right, so are the suspicions: as many wrong labels as they add up to.
    doubt_U = suspicion(noise, prob_UC, other_classes(given_U, 2))
    assert doubt_U.sum() == pytest.approx(wrong_U.sum(), rel=0.3)


def test_a_few_wrong_labels_do_not_soften_the_probabilities() -> None:
    """The temperature alone would: it is what a fit without wrong labels has to explain them with."""
    from maskcls.results.decisions.calibration import fit_temperature

    prob_UC, given_U, _ = simulated(4000, 0.05, sharpness=6, seed=1)
    alone = fit_temperature(prob_UC, given_U)
    together = fit_noise(prob_UC, given_U, other_classes(given_U, 2)).temperature
    assert alone > 1.3
    assert abs(np.log(together)) < 0.15


def test_suspicion_is_the_posterior_worked_out_by_hand() -> None:
    """Share 0.1, three classes: wrong 0.1 / 2 * (0.3 + 0.2), right 0.9 * 0.5; then the last class is no fault."""
    noise, prob = Noise(1.0, 0.1), np.array([[0.5, 0.3, 0.2]])
    every = np.array([[False, True, True]])
    assert suspicion(noise, prob, every)[0] == pytest.approx(0.025 / (0.025 + 0.45))
    near = np.array([[False, True, False]])
    assert suspicion(noise, prob, near)[0] == pytest.approx(0.015 / (0.015 + 0.9 * 0.7))


def test_confident_learning_finds_planted_faults() -> None:
    prob_UC, given_U, wrong_U = simulated(2000, 0.05, sharpness=8, seed=2)
    found_U = agreed_issues(prob_UC, given_U, other_classes(given_U, 2))
    assert found_U[wrong_U].mean() > 0.7
    assert found_U[~wrong_U].mean() < 0.05
    assert not agreed_issues(prob_UC, given_U, np.zeros((2000, 2), dtype=bool)).any()  # no class counts as a fault


def test_ages_near_a_border_are_no_fault() -> None:
    """29 and 31, 58 and 61 are the same age to the eye; 24 against 30 is six years."""
    ages = np.array([24, 26, 29, 30, 45, 58, 61, 80, -1])
    expected = [[0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert far_classes(ages, AGE, near=5).astype(int).tolist() == expected
    wide = Task("age", ("a", "b"), (30,))
    assert far_classes(np.array([29, 30]), wide, near=1).tolist() == [[False, True], [True, False]]
    assert far_classes(np.array([29, 30]), wide, near=2).tolist() == [[False, False], [False, False]]


def test_runs_are_joined_by_photo_and_averaged() -> None:
    """Photo 0 is in both runs, 1 and 2 in one each; unknown labels fit no temperature, so it stays 1."""
    unknown_N = np.full(3, -1)
    a, b = np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([[0.2, 0.8], [0.7, 0.3]])
    found = pooled([(np.array([0, 1]), a), (np.array([2, 0]), b)], unknown_N)
    assert found == pytest.approx(np.array([[0.8, 0.2], [0.6, 0.4], [0.2, 0.8]]))
    with pytest.raises(ValueError, match="no run"):
        pooled([(np.array([0, 1]), a)], unknown_N)


def test_one_extreme_network_does_not_decide_alone() -> None:
    """A mean of logarithms would give class 0 a probability below 1e-5 here."""
    prob_NC = np.array([[0.9, 0.1]] * 6 + [[1e-30, 1.0]])
    assert person_mean(prob_NC, np.zeros(7, dtype=np.int64))[0, 0] == pytest.approx(0.9 * 6 / 7)


def test_each_run_has_its_own_temperature() -> None:
    """A run whose logits are three times too large gives the same pooled rows as the run itself."""
    prob_NC, given_N, _ = simulated(3000, 0.0, sharpness=2, seed=3)
    sharp = prob_NC**3 / (prob_NC**3).sum(axis=1, keepdims=True)
    rows = np.arange(3000)
    one, other = (pooled([(rows, each)], given_N) for each in (prob_NC, sharp))
    assert np.abs(one - other).max() < 1e-3
