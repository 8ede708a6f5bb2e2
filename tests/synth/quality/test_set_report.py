"""The report about a set: photos of the same classes only, pairs by closeness, people of parents."""

from __future__ import annotations

import numpy as np

from maskcls.labels import CONTEST
from maskcls.results.added.added_set import AddedSet
from maskcls.results.synth.sample_quality import sample_quality
from maskcls.synth.embedded.frozen_features import FeatureRows
from maskcls.synth.quality.set_report import SHOWN, report_about_set, shown_samples

OLD = {"mask": 0, "gender": 1, "age": 2}


def photo_rows(rng: np.random.Generator, old: int, young: int) -> FeatureRows:
    """Return one photo per person, of old and of young people; the young ones are far away."""
    count = old + young
    feature = rng.normal(size=(count, 4)).astype(np.float32)
    feature[old:] += 100
    labels = {name: np.full(count, index) for name, index in OLD.items()}
    labels["age"] = np.where(np.arange(count) < old, 2, 0)
    ids = np.array([f"p{row}" for row in range(count)])
    return FeatureRows(np.arange(count), ids, feature, labels, np.arange(count), np.ones(count, np.float32))


def set_of(count: int) -> AddedSet:
    """Return samples of old people."""
    names = [f"synth/0/{row}" for row in range(count)]
    labels = {name: np.full(count, index) for name, index in OLD.items()}
    return AddedSet(np.array(names), np.array([f"{row}.png" for row in range(count)]), labels, None, np.ones(count))


def test_samples_are_compared_with_photos_of_their_classes_alone() -> None:
    rng = np.random.default_rng(0)
    photos = photo_rows(rng, old=30, young=50)
    paths = {one: f"{one}.jpg" for one in photos.ids.tolist()}
    feature = photos.feature_nD[:5] + 1e-4
    found = report_about_set(0, set_of(5), feature, photos, paths, {}, CONTEST, seed=0)
    assert found.quality is not None
    assert (found.quality.samples, found.quality.photos, found.quality.people) == (5, 30, 30)
    assert {(one.sample, one.photo) for one in found.neighbours} == {(f"{row}.png", f"p{row}.jpg") for row in range(5)}
    assert all(one.closeness < 0.01 for one in found.neighbours)


def test_without_samples_or_photos_of_the_class_there_is_no_quality() -> None:
    rng = np.random.default_rng(1)
    none = report_about_set(1, set_of(0), np.empty((0, 4), np.float32), photo_rows(rng, 3, 3), {}, {}, CONTEST, seed=0)
    assert (none.fold, none.quality, none.neighbours) == (1, None, ())
    alone = report_about_set(1, set_of(2), np.ones((2, 4), np.float32), photo_rows(rng, 0, 6), {}, {}, CONTEST, seed=0)
    assert alone.quality is None


def test_a_sample_of_a_photographed_person_is_known_by_its_parent() -> None:
    rng = np.random.default_rng(2)
    photos = photo_rows(rng, old=40, young=0)
    paths = {one: one for one in photos.ids.tolist()}
    samples, feature = set_of(20), rng.normal(size=(20, 4)).astype(np.float32)
    parents = {name: (f"p{row}",) for row, name in enumerate(samples.ids.tolist())}
    with_parents = report_about_set(0, samples, feature, photos, paths, parents, CONTEST, seed=0)
    without = report_about_set(0, samples, feature, photos, paths, {}, CONTEST, seed=0)
    assert with_parents.quality is not None
    assert without.quality is not None
    assert with_parents.quality.found.two_sample is None  # the people are in both parts
    assert without.quality.found.two_sample is not None


def test_the_closest_samples_and_some_of_the_others_are_shown() -> None:
    rng = np.random.default_rng(3)
    photo, sample = rng.normal(size=(30, 3)), rng.normal(size=(100, 3))
    found = sample_quality(photo, np.arange(30), sample, np.full(100, -1), seed=0)
    rows = shown_samples(found)
    assert len(rows) == len(set(rows)) == SHOWN
    order = np.argsort(found.closeness_N).tolist()
    assert rows[: SHOWN // 2] == order[: SHOWN // 2]
    assert rows[-1] == order[-1]
    assert (
        shown_samples(sample_quality(photo, np.arange(30), sample[:5], np.full(5, -1), seed=0))
        == np.argsort(sample_quality(photo, np.arange(30), sample[:5], np.full(5, -1), seed=0).closeness_N).tolist()
    )
