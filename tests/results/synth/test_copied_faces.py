"""Distances to training photos, against plain loops, and the limit below which a sample is a copy."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.results.synth.copied_faces import BLOCK, copy_limit, nearest_photos


def test_nearest_photos_equal_a_loop_over_several_blocks() -> None:
    rng = np.random.default_rng(0)
    photos, samples = rng.normal(size=(37, 5)).astype(np.float32), rng.normal(size=(BLOCK + 3, 5)).astype(np.float32)
    distance, row = nearest_photos(samples, photos)
    for m, sample in enumerate(samples.astype(np.float64)):
        all_of_them = [float(np.linalg.norm(sample - photo)) for photo in photos.astype(np.float64)]
        assert row[m] == int(np.argmin(all_of_them))
        assert distance[m] == pytest.approx(min(all_of_them), rel=1e-12)


def test_a_copy_far_from_the_origin_has_no_distance() -> None:
    """The difference of squares alone would leave some."""
    photos = np.full((2, 3), 1e4, dtype=np.float32) + np.array([[0.0], [0.5]], dtype=np.float32)
    distance, row = nearest_photos(photos[1:], photos)
    assert (distance.tolist(), row.tolist()) == ([0.0], [1])


def test_no_photo_is_far_away() -> None:
    distance, row = nearest_photos(np.zeros((2, 3)), np.zeros((0, 3)))
    assert (distance.tolist(), row.tolist()) == ([np.inf, np.inf], [-1, -1])
    assert nearest_photos(np.zeros((0, 3)), np.zeros((2, 3)))[0].shape == (0,)


def test_the_limit_is_a_quantile_of_the_distances_between_people() -> None:
    """Photos at 0, 1 | 10 | 14 of three people: to the nearest photo of another person 10, 9, 4 and 4."""
    photos, people = np.array([[0.0], [1.0], [10.0], [14.0]]), np.array([5, 5, 6, 7])
    assert [copy_limit(photos, people, share) for share in (0.0, 0.25, 0.5, 1.0)] == [0.0, 4.0, 6.5, 10.0]


def test_photos_of_one_person_give_no_limit() -> None:
    assert copy_limit(np.array([[0.0], [3.0]]), np.array([1, 1]), 0.5) == 0.0
    assert copy_limit(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), 0.5) == 0.0
