"""Wrong photos in order, on numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskcls.labels import LabelSpace, Task
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.scores.mistakes import (
    JOINT,
    classes_of,
    least_probable_true,
    mistaken_people,
    most_confident_wrong,
    probabilities_by_task,
)

SPACE = LabelSpace((Task("size", ("small", "large")), Task("shape", ("round", "flat", "long"))))
PEOPLE = np.array(["ann", "ann", "bob", "bob", "cat"])
TRUE = {"size": np.array([0, 0, 1, 1, -1]), "shape": np.array([0, 0, 2, 2, 1])}
PROB = np.array(
    [
        [0.1, 0.6, 0.1, 0.1, 0.05, 0.05],  # small flat; true small round
        [0.2, 0.7, 0.0, 0.1, 0.0, 0.0],  # the same mistake, more confident
        [0.0, 0.0, 0.0, 0.1, 0.4, 0.5],  # right
        [0.9, 0.0, 0.0, 0.05, 0.05, 0.0],  # small round; true large long, which has 0
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],  # shape long; true flat, its size is not known
    ],
    dtype=np.float32,
)


def labelled() -> LabelledPredictions:
    ids = [f"{row}.jpg" for row in range(len(PROB))]
    return LabelledPredictions(ids, PROB.argmax(axis=1), TRUE, SPACE, PROB, PEOPLE)


def test_the_most_confident_comes_first_and_each_person_once() -> None:
    found = most_confident_wrong(classes_of(labelled(), JOINT), PEOPLE, 10)
    assert [(one.row, one.true, one.predicted) for one in found] == [
        (3, "large/long", "small/round"),
        (1, "small/round", "small/flat"),
    ]
    assert [one.prob_predicted for one in found] == [pytest.approx(0.9), pytest.approx(0.7)]
    assert [(one.same_mistake, one.photos) for one in found] == [(1, 2), (2, 2)]
    assert most_confident_wrong(classes_of(labelled(), JOINT), PEOPLE, 1) == found[:1]


def test_the_least_probable_true_class_comes_first() -> None:
    found = least_probable_true(classes_of(labelled(), JOINT), PEOPLE, 10)
    assert [(one.row, one.prob_true) for one in found] == [(3, 0.0), (0, pytest.approx(0.1))]


def test_a_task_counts_the_rows_in_which_it_is_known() -> None:
    shape = classes_of(labelled(), "shape")
    assert shape.wrong.tolist() == [True, True, False, True, True]
    found = most_confident_wrong(shape, PEOPLE, 10)
    assert [(one.row, one.predicted) for one in found] == [(4, "long"), (3, "round"), (1, "flat")]
    assert found[1].prob_predicted == pytest.approx(0.95)  # of small and large together
    assert classes_of(labelled(), "size").wrong.tolist() == [False, False, False, True, False]
    with pytest.raises(KeyError):
        classes_of(labelled(), "colour")


def test_an_unknown_label_has_no_probability_of_the_true_class() -> None:
    prob_true = classes_of(labelled(), JOINT).prob_true
    assert prob_true[:4].tolist() == pytest.approx([0.1, 0.2, 0.5, 0.0])
    assert math.isnan(prob_true[4])


def test_people_by_wrong_photos_then_log_loss() -> None:
    found = mistaken_people(labelled(), 10)
    assert [(one.person, one.photos, one.wrong, dict(one.by_task)) for one in found] == [
        ("ann", 2, 2, {"size": 0, "shape": 2}),
        ("bob", 2, 1, {"size": 1, "shape": 1}),
    ]
    assert found[0].log_loss == pytest.approx(-(math.log(0.1) + math.log(0.2)) / 2, rel=1e-6)
    assert math.isfinite(found[1].log_loss)
    assert mistaken_people(labelled(), 1) == found[:1]


def test_probabilities_of_a_row_by_task() -> None:
    found = probabilities_by_task(PROB, SPACE, 1)
    assert found["size"] == {"small": pytest.approx(0.9), "large": pytest.approx(0.1)}
    assert found["shape"] == {"round": pytest.approx(0.3), "flat": pytest.approx(0.7), "long": 0.0}
