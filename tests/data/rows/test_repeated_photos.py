"""What rows with one photo mean: several people, different labels, train and eval, or nothing bad."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maskcls.data.rows import manifest
from maskcls.data.rows.repeated_photos import KINDS, same_photos
from maskcls.labels import LabelSpace, Task

SPACE = LabelSpace((Task("helmet", ("none", "worn")), Task("age", ("young", "old"), (30,))))


def frame() -> pd.DataFrame:
    """Return six rows to train on and two to predict."""
    train = manifest.build(
        list("abcdef"),
        [f"{name}.png" for name in "abcdef"],
        SPACE,
        person=["ann", "ann", "bob", "bob", "cy", "cy"],
        labels={"helmet": np.array([0, 0, 0, 1, -1, 1])},
        values={"age": np.array([20, 20, 29, 29, 40, -1])},
    )
    rest = manifest.build(["g", "h"], ["g.png", "h.png"], SPACE, split="eval")
    return pd.concat([train, rest], ignore_index=True)


@pytest.mark.parametrize(
    ("rows", "kinds", "labels"),
    [
        ((0, 1), ("repeated",), ()),  # one person, one label
        ((0, 2), ("people",), ()),  # other ages, but of one class
        ((2, 3), ("labels",), ("helmet",)),
        ((4, 5), ("repeated",), ()),  # an unknown label contradicts nothing
        ((0, 3), ("people", "labels"), ("helmet",)),
        ((1, 4), ("people", "labels"), ("age",)),
        ((1, 3, 4), ("people", "labels"), ("helmet", "age")),
        ((0, 6), ("eval",), ()),
        ((0, 2, 7), ("people", "eval"), ()),
        ((6, 7), ("repeated",), ()),  # both to be predicted
    ],
)
def test_what_a_group_of_rows_means(rows: tuple[int, ...], kinds: tuple[str, ...], labels: tuple[str, ...]) -> None:
    (found,) = same_photos(frame(), [rows], SPACE)
    assert (found.kinds, found.labels, found.rows) == (kinds, labels, rows)
    assert [copy.path for copy in found.copies] == [f"{'abcdefgh'[row]}.png" for row in rows]


def test_every_kind_is_tried_above() -> None:
    assert KINDS == ("people", "labels", "eval", "repeated")


def test_a_photo_is_named_with_its_people_and_labels() -> None:
    first, second = same_photos(frame(), [(0, 3), (4, 7)], SPACE)
    assert str(first) == "a.png of 'ann' (helmet=none, age=young) = d.png of 'bob' (helmet=worn, age=young)"
    assert str(second) == "e.png of 'cy' (age=old) = h.png"
