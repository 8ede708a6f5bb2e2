"""Copies and people under two names, from descriptors."""

from __future__ import annotations

import math

import numpy as np

from maskcls.labels import Floats, Ints
from maskcls.results.diagnosis.close_photos import close_photos


def photos(people: int, each: int) -> tuple[Floats, Ints]:
    """People far from each other, whose photos are near each other."""
    rng = np.random.default_rng(0)
    centre = rng.normal(0, 10, (people, 30))
    person = np.repeat(np.arange(people), each)
    return (centre[person] + rng.normal(0, 3, (len(person), 30))).astype(np.float32), person


def test_people_are_nearer_to_themselves() -> None:
    descriptors, person = photos(20, 5)
    found = close_photos(descriptors, person, person % 2)
    assert found.copies == ()
    assert found.nearer < 0.05
    assert found.compared == 100


def test_a_copy_in_another_fold_is_found_and_one_in_the_same_fold_is_not() -> None:
    descriptors, person = photos(20, 5)
    copied = np.concatenate([descriptors, descriptors[[3, 4]] + 0.2])
    named = np.append(person, [20, 21])
    folds = np.append(person % 2, [1, 0])  # person 0 is in fold 0
    assert close_photos(copied, named, folds).copies == ((3, 100),)


def test_people_with_two_names_are_found() -> None:
    descriptors, person = photos(20, 6)
    named = person * 2 + np.arange(120) % 2
    found = close_photos(descriptors, named, named % 2)
    assert found.nearer > 0.4
    assert math.isnan(close_photos(descriptors, np.arange(120), np.arange(120) % 2).nearer)


def test_blocks_do_not_change_the_result() -> None:
    descriptors, person = photos(130, 5)  # more photos than a block holds
    copied = np.concatenate([descriptors, descriptors[[600]] + 0.1])
    found = close_photos(copied, np.append(person, 130), np.append(person % 2, 1 - person[600] % 2))
    assert found.copies == ((600, 650),)
    assert found.compared == 650
