"""Sums of rows: what they add up to, and that scores of sums are the scores of all rows together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from maskcls.errors import ResultError
from maskcls.labels import CONTEST, LabelSpace, Task
from maskcls.results.scores.metrics import score
from maskcls.results.scores.tally import JOINT, epoch_scores, tally

TINY = LabelSpace((Task("a", ("x", "y")), Task("b", ("u", "v"))))


def test_the_counts_by_hand() -> None:
    """Rows: right, wrong in b, label of b unknown."""
    prob = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.2], [0.1, 0.8, 0.05, 0.05]], np.float32)
    found = tally(prob, {"a": np.array([0, 1, 0]), "b": np.array([0, 1, -1])}, TINY)
    assert {name: counts.tolist() for name, counts in found.hits.items()} == {
        JOINT: [1, 0, 0, 0],
        "a": [2, 1],
        "b": [1, 0],
    }
    assert {name: counts.tolist() for name, counts in found.whole.items()} == {
        JOINT: [2, 0, 1, 1],
        "a": [4, 2],
        "b": [3, 1],
    }
    assert found.rows == 2
    assert found.loss == pytest.approx(-math.log(0.7) - math.log(0.2), rel=1e-6)


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_scores_of_added_tallies_are_those_of_all_rows(parts: int) -> None:
    rng = np.random.default_rng(parts)
    prob = rng.dirichlet(np.ones(18), 300).astype(np.float32)
    truth = {task.name: rng.integers(-1, len(task.classes), 300) for task in CONTEST.tasks}
    total = None
    for rows in np.array_split(rng.permutation(300), parts):
        one = tally(prob[rows], {name: values[rows] for name, values in truth.items()}, CONTEST)
        total = one if total is None else total + one
    assert total is not None
    found, whole = epoch_scores(total), score(prob, truth, CONTEST)
    joint, known = CONTEST.encode(truth), CONTEST.encode(truth) >= 0
    assert found["macro_f1"] == whole.macro_f1
    assert found["macro_f1"] == pytest.approx(f1_score(joint[known], prob.argmax(1)[known], average="macro"))
    assert {name: found[name] for name in CONTEST.names} == {n: s.macro_f1 for n, s in whole.tasks.items()}
    assert found["loss"] == pytest.approx(log_loss(joint[known], prob[known].astype(float), labels=range(18)), rel=1e-5)


def test_without_a_fully_labelled_row_the_tasks_count() -> None:
    prob = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.6, 0.2]], np.float32)
    found = epoch_scores(tally(prob, {"a": np.array([0, 1]), "b": np.array([-1, -1])}, TINY))
    assert (found["macro_f1"], found["a"]) == (1.0, 1.0)
    assert math.isnan(found["b"])
    assert math.isnan(found["loss"])
    none = epoch_scores(tally(prob[:0], {"a": np.array([], int), "b": np.array([], int)}, TINY))
    assert all(math.isnan(value) for value in none.values())


def test_a_probability_of_zero_has_a_finite_loss() -> None:
    prob = np.array([[1, 0, 0, 0]], np.float32)
    found = tally(prob, {"a": np.array([1]), "b": np.array([1])}, TINY)
    assert found.loss == pytest.approx(-math.log(1e-12))


def test_probabilities_must_be_finite() -> None:
    with pytest.raises(ResultError):
        tally(np.full((1, 4), np.nan), {"a": np.array([1]), "b": np.array([1])}, TINY)
