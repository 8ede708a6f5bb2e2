"""Watch numbers of CycleGAN by hand, and which photos are compared."""

import numpy as np
import pytest
import torch

from maskcls.synth.cyclegan.cycle_watch import ComparedRows, compared_rows, patch_accuracy, score_gap


def scores(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


def test_accuracy_counts_photos_and_generated_images_equally() -> None:
    # Three of four scores of photos are above one half, one of two scores of generated images is below it.
    assert patch_accuracy(scores(0.9, 0.6, 2.0, 0.4), scores(0.1, 0.7)) == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert patch_accuracy(scores(0.6), scores(0.4)) == 1.0
    assert patch_accuracy(scores(0.4), scores(0.6)) == 0.0


def test_the_gap_is_between_the_means() -> None:
    assert score_gap(scores(1.0, 0.5), scores(0.25, 0.0, -0.25)) == 0.75


def test_one_photo_of_each_person_with_the_most_frequent_kept_labels_is_compared() -> None:
    person_N = np.array([0, 0, 1, 2, 3, 3, 4, 5, 6])
    target_N = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    key_N = np.array([0, 0, 0, 1, 0, 0, 0, 1, 1])  # two people of the target have key 0, one has key 1

    rows = compared_rows(~target_N, target_N, key_N, person_N)

    assert rows.target_R.tolist() == [0, 2]
    assert rows.source_R.tolist() == [4, 6]
    assert rows.enough
    assert not ComparedRows(np.array([1, 2]), np.array([0])).enough


def test_at_most_64_photos_are_compared() -> None:
    target_N = np.arange(200) < 100
    rows = compared_rows(~target_N, target_N, np.zeros(200, dtype=np.int64), np.arange(200))

    assert (len(rows.source_R), len(rows.target_R)) == (64, 64)
