"""The quality of samples: good, collapsed and copied ones are told apart."""

from __future__ import annotations

import json

import numpy as np
import pytest

from maskcls.results.synth.copied_faces import to_other_people
from maskcls.results.synth.sample_quality import sample_people, sample_quality

PEOPLE = np.repeat(np.arange(40), 3)


def photos(rng: np.random.Generator, people: int = 40) -> np.ndarray:
    """Return embeddings of three photos per person."""
    return np.repeat(rng.normal(size=(people, 5)), 3, axis=0) + rng.normal(0, 0.1, size=(3 * people, 5))


def nobody(count: int) -> np.ndarray:
    """Return parents of samples that have none."""
    return np.full(count, -1, np.int64)


def test_samples_of_the_same_distribution_are_as_good_as_photos() -> None:
    rng = np.random.default_rng(0)
    found = sample_quality(photos(rng), PEOPLE, rng.normal(size=(60, 5)), nobody(60), seed=0)
    assert (found.samples, found.photos, found.people) == (60, 120, 40)
    assert found.found.distance is not None
    assert found.found.distance.low < 0.0 < found.found.distance.high
    assert found.found.coverage is not None
    assert found.found.coverage.precision > 0.7
    assert found.found.two_sample is not None
    assert found.found.two_sample.p > 0.05
    assert found.among_photos.distance is not None
    assert np.median(found.closeness_N) == pytest.approx(1.0, abs=0.4)


def test_copies_are_close_and_name_their_photo() -> None:
    rng = np.random.default_rng(1)
    photo = photos(rng)
    found = sample_quality(photo, PEOPLE, photo[[5, 80]] + 1e-6, nobody(2), seed=0)
    assert found.nearest_N.tolist() == [5, 80]
    assert (found.closeness_N < 1e-3).all()


def test_a_collapsed_generator_is_told_from_photos_and_covers_little() -> None:
    rng = np.random.default_rng(2)
    photo = photos(rng)
    found = sample_quality(photo, PEOPLE, photo[3] + rng.normal(0, 0.02, size=(60, 5)), nobody(60), seed=0)
    assert found.found.coverage is not None
    assert found.found.coverage.recall < 0.1
    assert found.found.distance is not None
    assert found.found.distance.low > 0
    assert found.among_photos.distance is not None
    assert found.among_photos.distance.low < 0


def test_samples_of_a_photographed_person_have_no_two_sample_test() -> None:
    rng = np.random.default_rng(3)
    found = sample_quality(photos(rng), PEOPLE, rng.normal(size=(60, 5)), np.arange(60) % 40, seed=0)
    assert found.found.two_sample is None


def test_few_rows_have_fewer_figures_and_no_error() -> None:
    found = sample_quality(np.eye(3), np.arange(3), np.ones((1, 3)), nobody(1), seed=0)
    assert (found.found.distance, found.found.coverage, found.found.two_sample) == (None, None, None)
    assert json.loads(json.dumps(found.to_json()))["samples"] == 1
    with pytest.raises(ValueError, match="cannot be compared"):
        sample_quality(np.eye(3), np.arange(3), np.ones((0, 3)), nobody(0), seed=0)


def test_people_of_samples_are_new_where_they_have_no_parent() -> None:
    assert sample_people(np.array([0, 4]), np.array([-1, 9, -1])).tolist() == [10, 9, 11]


def test_distance_to_other_people_by_hand() -> None:
    feature = np.array([[0.0], [1.0], [4.0]])
    assert to_other_people(feature, np.array([0, 0, 1])).tolist() == [4.0, 3.0, 3.0]
    assert np.isinf(to_other_people(feature, np.zeros(3, np.int64))).all()
