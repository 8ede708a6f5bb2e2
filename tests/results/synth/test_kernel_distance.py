"""The kernel distance against torchmetrics, by hand, and with planted differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import KernelInceptionDistance

from maskcls.results.synth.kernel_distance import kernel_distance


class Features(torch.nn.Module):
    """Stands for a network whose features are its input."""

    num_features = 6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input."""
        return x


def own(count: int) -> np.ndarray:
    """Return a person of its own for every row."""
    return np.arange(count, dtype=np.int64)


def test_it_equals_torchmetrics_for_equal_numbers_of_rows() -> None:
    rng = np.random.default_rng(0)
    photo, sample = rng.normal(size=(40, 6)), rng.normal(0.5, 1.2, size=(40, 6))
    with pytest.warns(UserWarning, match="save all extracted features"):
        reference = KernelInceptionDistance(feature=Features(), subsets=1, subset_size=40)
    reference.set_dtype(torch.float64)
    reference.update(torch.from_numpy(photo), real=True)
    reference.update(torch.from_numpy(sample), real=False)
    expected = float(reference.compute()[0])
    assert kernel_distance(photo, sample, own(40), own(40)).value == pytest.approx(expected, rel=1e-6)


def test_by_hand() -> None:
    # Kernels (x y + 1)^3: within 0, 1: (0 + 1)^3 = 1; within 1, 2: 27; between: 1, 1, 8, 27.
    found = kernel_distance(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]), own(2), own(2))
    assert found.value == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)


def test_equal_distributions_are_within_the_interval_and_different_ones_are_not() -> None:
    inside = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = kernel_distance(rng.normal(size=(60, 4)), rng.normal(size=(50, 4)), own(60), own(50))
        inside += found.low <= 0 <= found.high
        other = kernel_distance(rng.normal(size=(60, 4)), rng.normal(2, 1, size=(50, 4)), own(60), own(50))
        assert other.low > 0
    assert inside >= 34  # 95 % of 40 are 38


def test_rows_of_one_person_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    few, sample = rng.normal(size=(12, 4)), rng.normal(size=(300, 4))
    many = np.repeat(few, 5, axis=0) + rng.normal(0, 0.01, size=(60, 4))
    people = np.repeat(np.arange(12), 5)
    by_person = kernel_distance(many, sample, people, own(300))
    by_photo = kernel_distance(many, sample, rng.permutation(60), own(300))
    assert by_person.value == by_photo.value
    assert by_person.high - by_person.low > 1.2 * (by_photo.high - by_photo.low)


def test_one_person_has_no_interval() -> None:
    found = kernel_distance(np.eye(3), 2 * np.eye(3), np.zeros(3, np.int64), own(3))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isfinite(found.value)


@pytest.mark.parametrize(("rows", "features"), [(1, 4), (0, 4), (3, 5)])
def test_too_few_rows_or_other_features_are_refused(rows: int, features: int) -> None:
    with pytest.raises(ValueError, match="no distance"):
        kernel_distance(np.ones((3, 4)), np.ones((rows, features)), own(3), own(rows))
