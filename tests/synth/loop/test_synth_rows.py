"""What a generator of a fold is trained on: rows of its training people, and nothing of the others."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import experiment

from maskcls.data.photos.images import decode
from maskcls.data.views.transforms import eval_view
from maskcls.errors import DataError
from maskcls.labels import CONTEST
from maskcls.rundir import REFIT
from maskcls.synth.loop.synth_rows import generator_rows, of_classes, synth_rows, synth_spec

SIZE = ("synth.size=[32, 16]",)


def test_rows_are_those_of_the_training_people_with_the_classifiers_crop(drawn: Path) -> None:
    given = experiment(drawn, *SIZE, "transforms.crop=[0.5, 0.75]", "synth.classes={age: ['>=60'], mask: [wear]}")
    rows = synth_rows(given, 1)

    held_out = set(given.manifest["person"][given.fold == 1])
    row_of = {name: row for row, name in enumerate(given.manifest["id"])}
    people = {given.manifest["person"].iloc[row_of[name]] for name in rows.ids}
    assert held_out
    assert not people & held_out
    assert people == set(given.manifest["person"]) - held_out
    assert rows.images_NHWC.shape == (len(rows.ids), 32, 16, 3)
    spec = synth_spec(given.cfg)
    assert (spec.size, spec.crop) == ((32, 16), (0.5, 0.75))
    path = given.photo_root / given.photo_paths[row_of[rows.ids[5]]]
    np.testing.assert_array_equal(
        rows.images_NHWC[5], eval_view(decode(path.read_bytes(), path, at_least=spec.decode_size), spec)
    )
    np.testing.assert_array_equal(rows.label_N, CONTEST.encode(rows.labels))
    np.testing.assert_array_equal(rows.target_N, (rows.labels["age"] == 2) & (rows.labels["mask"] == 0))
    assert rows.rare_people == len(set(rows.person_N[rows.target_N].tolist()))


def test_all_rows_are_used_for_the_generator_of_all_rows(drawn: Path) -> None:
    given = experiment(drawn, *SIZE)
    assert set(generator_rows(given, REFIT)) == set(range(len(given.manifest)))


def test_photos_of_the_validation_people_are_not_opened(drawn: Path, tmp_path: Path) -> None:
    given = experiment(drawn, *SIZE)
    moved = replace(given, data=tmp_path)
    for row in generator_rows(given, 0):
        path = moved.photo_root / given.photo_paths[row]
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(given.photo_root / given.photo_paths[row], path)
    assert len(synth_rows(moved, 0).ids) == len(generator_rows(given, 0))
    with pytest.raises(DataError):
        synth_rows(moved, REFIT)


def test_pseudo_labelled_and_unlabelled_rows_are_left_out(drawn: Path) -> None:
    given = experiment(drawn, *SIZE)
    frame = given.manifest.copy()
    frame.loc[0, "source"] = "pseudo"
    frame.loc[1, "gender"] = None
    assert set(generator_rows(replace(given, manifest=frame), REFIT)) == set(range(2, len(frame)))


def test_ages_that_the_classifier_leaves_out_are_left_out(drawn: Path) -> None:
    given = experiment(drawn, *SIZE)
    age = int(given.values["age"][0])
    without = experiment(drawn, *SIZE, f"age.drop=[{age}]")
    np.testing.assert_array_equal(generator_rows(without, REFIT), np.flatnonzero(given.values["age"] != age))


def test_no_class_means_the_one_with_the_fewest_training_people(drawn: Path) -> None:
    given = experiment(drawn, *SIZE)
    rows = synth_rows(given, 0)
    ((task, (name,)),) = rows.classes.items()
    counts = {
        (one.name, cls): len(set(rows.person_N[rows.labels[one.name] == index].tolist()))
        for one in CONTEST.tasks
        for index, cls in enumerate(one.classes)
    }
    assert counts[task, name] == min(count for count in counts.values() if count) == rows.rare_people


def test_no_row_is_of_no_class() -> None:
    labels = {name: np.zeros(3, dtype=np.int64) for name in CONTEST.names}
    assert of_classes(labels, {}, CONTEST).tolist() == [False] * 3
    assert of_classes(labels, {"age": ("30-59", "<30")}, CONTEST).tolist() == [True] * 3
