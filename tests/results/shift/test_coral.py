"""CORAL: accuracy restored after a known shift of the covariance, nothing done without one, shrinkage by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import sqrtm

from maskcls.results.shift.coral import FeatureMoments, coral_map, coral_shrinkage, pulled_in


def blobs(rows: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features of two classes, apart along one direction, and their classes."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(2, size=rows)
    feature_ND = rng.normal(size=(rows, 4)) * (0.3, 1.0, 2.0, 0.5) + 1
    feature_ND[:, 0] += 1.5 * label_N
    return feature_ND, label_N


def accuracy(feature_ND: np.ndarray, label_N: np.ndarray) -> float:
    """Return that of the heads, which stay as they are: a threshold on the first feature, and a weak second one."""
    return float(((feature_ND[:, 0] + 0.02 * feature_ND[:, 1] > 1.77) == label_N).mean())


def test_restores_features_after_a_gain_and_an_offset_per_feature() -> None:
    feature_ND = blobs()[0]
    before = FeatureMoments.of(feature_ND)
    # With a diagonal covariance a gain per feature commutes with it, so that it can be undone exactly.
    feature_ND = (feature_ND - before.mean_D) @ np.linalg.eigh(before.cov_DD)[1] + 1
    shifted_ND = feature_ND * (3.0, 0.2, 1.5, 1.0) + (4.0, -1.0, 0.0, 2.0)
    mapping = coral_map(FeatureMoments.of(feature_ND), FeatureMoments.of(shifted_ND), shrinkage=0.0)
    np.testing.assert_allclose(mapping(shifted_ND), feature_ND, atol=1e-9)
    assert np.abs(shifted_ND - feature_ND).mean() > 1  # what is undone is no small thing


def test_accuracy_of_unchanged_heads_comes_back_on_other_photos() -> None:
    (train_ND, _), (new_ND, label_N) = blobs(seed=0), blobs(seed=1)
    shifted_ND = new_ND * 1.7 + 0.9  # one gain for all features: other photos than those of the training
    mapping = coral_map(FeatureMoments.of(train_ND), FeatureMoments.of(shifted_ND), shrinkage=0.0)
    best, shifted = accuracy(new_ND, label_N), accuracy(shifted_ND, label_N)
    assert best > 0.98
    assert shifted < 0.7
    assert accuracy(mapping(shifted_ND), label_N) == pytest.approx(best, abs=0.005)  # 4000 rows of sampling noise


def test_equal_moments_give_the_identity_at_every_shrinkage() -> None:
    moments = FeatureMoments.of(blobs()[0])
    for shrinkage in (0.0, 0.3, 1.0):
        mapping = coral_map(moments, moments, shrinkage=shrinkage)
        np.testing.assert_allclose(mapping.matrix_DD, np.eye(4), atol=1e-9)
        np.testing.assert_allclose(mapping.bias_D, 0, atol=1e-9)


def test_mapped_features_have_the_training_moments_and_equal_the_formula() -> None:
    rng = np.random.default_rng(3)
    train_ND, new_ND = (rng.normal(size=(500, 5)) @ rng.normal(size=(5, 5)) + rng.normal(size=5) for _ in range(2))
    train, new = FeatureMoments.of(train_ND), FeatureMoments.of(new_ND)
    mapped = FeatureMoments.of(coral_map(train, new, shrinkage=0.0)(new_ND))
    np.testing.assert_allclose(mapped.mean_D, train_ND.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(mapped.cov_DD, np.cov(train_ND.T, bias=True), atol=1e-8)
    wanted = []
    for cov_DD in (np.cov(new_ND.T, bias=True), np.cov(train_ND.T, bias=True)):
        wanted.append(sqrtm(0.75 * cov_DD + 0.25 * np.trace(cov_DD) / 5 * np.eye(5)).real)
    found = coral_map(train, new, shrinkage=0.25)
    np.testing.assert_allclose(found.matrix_DD, np.linalg.inv(wanted[0]) @ wanted[1], atol=1e-8)


def test_what_is_far_from_all_others_is_pulled_in_along_its_direction() -> None:
    """The middle is (1, 1); distances are 0, 1, 1, 1, 1 and 500, so the limit is 2."""
    feature_ND = np.array([[1.0, 1.0], [2.0, 1.0], [0.0, 1.0], [1.0, 2.0], [1.0, 0.0], [301.0, -399.0], [1.0, 1.0]])
    found = pulled_in(feature_ND)
    np.testing.assert_array_equal(found[:5], feature_ND[:5])
    np.testing.assert_allclose(found[5], [2.2, -0.6])
    np.testing.assert_array_equal(feature_ND[5], [301.0, -399.0])  # what was given is unchanged
    np.testing.assert_array_equal(pulled_in(np.ones((3, 2))), np.ones((3, 2)))


def test_a_few_huge_features_on_either_side_do_not_spoil_the_map() -> None:
    (source_ND, _), (new_ND, label_N) = blobs(seed=0), blobs(seed=1)
    shifted_ND = new_ND * 1.7 + 0.9
    best = accuracy(new_ND, label_N)
    source_ND[:20] *= 3000  # one photo in 200
    shifted_ND[5:15] *= -1000

    def mapped(pull: Callable[[np.ndarray], np.ndarray]) -> float:
        moments = (FeatureMoments.of(pull(one)) for one in (source_ND, shifted_ND))
        return accuracy(coral_map(*moments, shrinkage=0.0)(shifted_ND), label_N)

    assert accuracy(shifted_ND, label_N) < 0.7
    assert mapped(lambda one: one) < 0.7
    assert mapped(pulled_in) > best - 0.02  # the ten huge ones are lost, 0.0025; the limit moves the mean a little


def test_shrinkage_grows_with_features_and_only_the_total_variance_is_left_at_one() -> None:
    assert coral_shrinkage(512, 512) == 0.5
    assert coral_shrinkage(20, 380) == 0.95
    train, new = FeatureMoments.of(blobs(seed=0)[0]), FeatureMoments.of(blobs(seed=1)[0] * 3)
    mapping = coral_map(train, new, shrinkage=1.0)
    gain = (np.trace(train.cov_DD) / np.trace(new.cov_DD)) ** 0.5
    np.testing.assert_allclose(mapping.matrix_DD, gain * np.eye(4), atol=1e-9)


def test_a_direction_without_variance_gives_no_infinity() -> None:
    feature_ND = blobs(200)[0]
    feature_ND[:, 2] = 7
    mapping = coral_map(FeatureMoments.of(feature_ND), FeatureMoments.of(feature_ND), shrinkage=0.0)
    np.testing.assert_allclose(mapping(feature_ND), feature_ND, atol=1e-6)


@pytest.mark.parametrize("shrinkage", [-0.1, 1.1])
def test_refuses_a_shrinkage_outside_its_range(shrinkage: float) -> None:
    moments = FeatureMoments.of(blobs(20)[0])
    with pytest.raises(ValueError, match="shrinkage"):
        coral_map(moments, moments, shrinkage=shrinkage)
