"""Precision and recall by hand, and with planted faults of a generator."""

from __future__ import annotations

import numpy as np

from maskcls.results.synth.manifold import Coverage, coverage, squared_distances


def own(count: int) -> np.ndarray:
    """Return a person of its own for every row."""
    return np.arange(count, dtype=np.int64)


def test_by_hand() -> None:
    # With one neighbour the balls of the photos 0, 1, 3 reach 1, 1, 2; those of the samples 0.5, 9 reach 8.5.
    photo, sample = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [9.0]])
    assert coverage(photo, sample, own(3), own(2), neighbours=1) == Coverage(0.5, 1.0)


def test_a_collapsed_generator_is_precise_and_covers_little() -> None:
    rng = np.random.default_rng(0)
    photo = rng.normal(size=(200, 3))
    collapsed = photo[7] + rng.normal(0, 0.01, size=(100, 3))
    found = coverage(photo, collapsed, own(200), own(100))
    assert found is not None
    assert found.precision > 0.95
    assert found.recall < 0.05


def test_a_good_generator_has_both_and_a_wild_one_covers_without_precision() -> None:
    rng = np.random.default_rng(1)
    photo = rng.normal(size=(200, 3))
    good = coverage(photo, rng.normal(size=(200, 3)), own(200), own(200))
    wild = coverage(photo, rng.normal(0, 6, size=(200, 3)), own(200), own(200))
    assert good is not None
    assert wild is not None
    assert min(good.precision, good.recall) > 0.8
    assert wild.precision < 0.4 < wild.recall


def test_neighbours_are_of_other_people() -> None:
    # Two photos per person, almost equal: the balls reach to the next person, not to the second photo.
    photo = np.array([[0.0], [0.001], [1.0], [1.001], [2.0], [2.001]])
    sample, people = np.array([[0.5], [1.5]]), np.array([0, 0, 1, 1, 2, 2])
    assert coverage(photo, sample, people, own(2), neighbours=1) == Coverage(1.0, 1.0)
    by_photo = coverage(photo, sample, own(6), own(2), neighbours=1)
    assert by_photo is not None
    assert by_photo.precision == 0.0


def test_too_few_people_have_none() -> None:
    assert coverage(np.eye(3), np.eye(3), own(3), own(3)) is None


def test_squared_distances_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    expected = [[((x - y) ** 2).sum() for y in b] for x in a]
    np.testing.assert_allclose(squared_distances(a, b), expected, rtol=1e-12)
