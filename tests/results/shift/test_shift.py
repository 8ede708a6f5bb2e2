"""Differences between two parts: two-sample test by person, pixel statistics, class shares by EM."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from maskcls.results.shift.class_shares import em_shares, estimate_shares
from maskcls.results.shift.pixel_statistics import pixel_differences
from maskcls.results.shift.two_sample import FEWEST_PEOPLE, PERMUTATIONS, two_sample_test


def people_of(rng: np.random.Generator, people: int, photos: int, moved: float) -> np.ndarray:
    """Return features (people * photos, 6): people differ much, photos of one person little."""
    centre = np.repeat(rng.normal(size=(people, 6)), photos, axis=0)
    centre[:, 0] += moved
    return centre + 0.1 * rng.normal(size=centre.shape)


def parts(moved: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    feature = np.concatenate([people_of(rng, 40, 5, 0.0), people_of(rng, 30, 5, moved)])
    return feature, np.arange(350) >= 200, np.arange(350) // 5


def test_equal_parts_are_told_apart_as_often_as_by_chance() -> None:
    found = [two_sample_test(*parts(0.0, seed), seed=seed) for seed in range(20)]
    p = np.array([one.p for one in found if one is not None])
    assert len(p) == 20
    # Photos as units would make nearly all of these tiny: two random sets of people always differ.
    assert (p <= 0.05).sum() <= 4
    assert 0.4 < np.mean([one.auc for one in found if one is not None]) < 0.6


def test_a_difference_is_found() -> None:
    found = two_sample_test(*parts(2.0, 0), seed=0)
    assert found is not None
    assert found.auc > 0.8
    assert found.p == 1 / (PERMUTATIONS + 1)
    assert found.chance < found.auc
    assert (found.people, found.photos) == (70, 350)


def test_too_few_people_have_no_test_and_nobody_may_be_in_both_parts() -> None:
    feature, second, person = parts(0.0, 0)
    few = (person < 40) | (person < 40 + FEWEST_PEOPLE - 1)
    assert two_sample_test(feature[few], second[few], person[few], seed=0) is None
    with pytest.raises(ValueError, match="in both parts"):
        two_sample_test(feature, second, np.where(person == 69, 0, person), seed=0)


def test_pixel_differences_are_welch_tests_on_people_with_holm() -> None:
    rng = np.random.default_rng(0)
    person = np.arange(60) // 3
    second = person >= 12
    values = {"a": rng.normal(size=60) + 2 * second, "b": rng.normal(size=60), "same": np.full(60, 7.0)}
    found = {one.name: one for one in pixel_differences(values, second, person)}
    assert list(found) == ["a", "b", "same"]
    means = {name: one.reshape(20, 3).mean(axis=1) for name, one in values.items()}
    p = {name: ttest_ind(means[name][:12], means[name][12:], equal_var=False).pvalue for name in "ab"}
    assert found["a"].p == pytest.approx(min(1, 3 * p["a"]))
    assert found["a"].first == pytest.approx(means["a"][:12].mean())
    residual = np.concatenate([means["a"][:12] - means["a"][:12].mean(), means["a"][12:] - means["a"][12:].mean()])
    assert found["a"].difference_sd == pytest.approx((means["a"][12:].mean() - means["a"][:12].mean()) / residual.std())
    assert (found["same"].difference_sd, found["same"].p) == (0.0, 1.0)


def probabilities(label: np.ndarray, prior: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the posterior of classes whose one feature is normal around the class number, under a prior."""
    feature = label + 0.5 * rng.normal(size=len(label))
    likelihood = np.exp(-((feature[:, np.newaxis] - np.arange(len(prior))) ** 2) / (2 * 0.25))
    joint = likelihood * prior
    return joint / joint.sum(axis=1, keepdims=True)


def test_em_finds_shares_that_differ_from_those_the_network_was_trained_on() -> None:
    rng, prior, true = np.random.default_rng(0), np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    label = rng.choice(3, size=6000, p=true)
    prob = probabilities(label, prior, rng)
    share = em_shares(prob, prior)
    assert share == pytest.approx(np.bincount(label) / 6000, abs=0.02)
    assert np.abs(prob.mean(axis=0) - true).max() > 0.04  # the mean probability is pulled to the prior
    assert share.sum() == pytest.approx(1)


def test_weights_count_photos_several_times() -> None:
    prob, prior = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0.5, 0.5])
    assert em_shares(prob, prior, np.array([2, 0, 1])) == pytest.approx(em_shares(prob[[0, 0, 2]], prior), abs=1e-4)


def test_shares_differ_only_where_intervals_do_not_meet_and_widen_with_groups() -> None:
    rng, prior = np.random.default_rng(1), np.array([0.7, 0.3])
    known = np.repeat(rng.choice(2, size=200, p=prior), 5)
    alone = np.arange(1000)
    for share, differs in ((prior, False), (np.array([0.3, 0.7]), True)):
        label = np.repeat(rng.choice(2, size=100, p=share), 5)
        prob = probabilities(label, known.mean() * np.array([-1, 1]) + np.array([1, 0]), rng)
        found = estimate_shares("age", ("a", "b"), prob, np.arange(500) // 5, known, alone // 5, seed=0)
        assert [one.label for one in found] == ["a", "b"]
        assert [one.differs for one in found] == [differs, differs]
        assert found[1].known == pytest.approx(known.mean())
        single = estimate_shares("age", ("a", "b"), prob, np.arange(500), known, alone, seed=0)
        assert found[1].high - found[1].low > 1.5 * (single[1].high - single[1].low)
