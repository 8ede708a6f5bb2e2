"""Metrics: hand-made tables and scikit-learn's answers."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from maskcls.errors import ResultError
from maskcls.labels import CONTEST, Ints, LabelSpace, Task
from maskcls.results.scores import metrics

SPACE = LabelSpace((Task("t", ("a", "b", "c")), Task("u", ("x", "y"))))


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def random_case(seed: int) -> tuple[Ints, Ints, int]:
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 19))
    rows = int(rng.integers(1, 120))
    used = rng.choice(classes, size=int(rng.integers(1, classes + 1)), replace=False)  # so classes are often absent
    true_N, pred_N = rng.choice(used, rows), rng.integers(classes, size=rows)
    agree_N = rng.random(rows) < rng.random()
    return true_N, np.where(agree_N, true_N, pred_N), classes


def test_hand_computed_table() -> None:
    # truth a a a b b c; prediction a a b b a b: hits 2, 1, 0; truths 3, 2, 1; predictions 3, 3, 0.
    counts = metrics.confusion(ints(0, 0, 0, 1, 1, 2), ints(0, 0, 1, 1, 0, 1), 4)
    assert counts.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert counts.dtype == np.int64
    assert metrics.f1_per_class(counts).tolist() == pytest.approx([4 / 6, 2 / 5, 0, 0])
    assert metrics.macro_f1(counts) == pytest.approx((4 / 6 + 2 / 5 + 0) / 3)  # the fourth class occurs nowhere
    assert metrics.accuracy(counts) == 0.5


def test_rows_of_unknown_truth_are_left_out() -> None:
    counts = metrics.confusion(ints(-1, 1, -1), ints(0, 1, 1), 2)
    assert counts.tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("true", "pred"), [(ints(2), ints(0)), (ints(0), ints(2)), (ints(0), ints(-1)), (ints(-2), ints(0))]
)
def test_labels_outside_are_refused(true: Ints, pred: Ints) -> None:
    with pytest.raises(ValueError, match="must lie in"):
        metrics.confusion(true, pred, 2)


def test_unequal_lengths_and_floats_are_refused() -> None:
    with pytest.raises(ValueError, match="equally long"):
        metrics.confusion(ints(0, 1), ints(0), 2)
    with pytest.raises(ValueError, match="whole numbers"):
        metrics.confusion(np.array([0.0]), ints(0), 2)  # type: ignore[arg-type]


def test_no_rows_have_no_score() -> None:
    counts = metrics.confusion(ints(-1), ints(0), 2)
    assert math.isnan(metrics.macro_f1(counts))
    assert math.isnan(metrics.accuracy(counts))
    assert metrics.score_counts(counts, ("a", "b")).to_json()["macro_f1"] is None


def test_equal_to_scikit_learn_over_random_tables() -> None:
    absent = 0
    for seed in range(80):
        true_N, pred_N, classes = random_case(seed)
        counts = metrics.confusion(true_N, pred_N, classes)
        absent += classes > len(set(true_N.tolist()) | set(pred_N.tolist()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn warns about undefined classes; 0 is what it returns
            assert metrics.macro_f1(counts) == pytest.approx(f1_score(true_N, pred_N, average="macro"), abs=1e-12)
            table = precision_recall_fscore_support(true_N, pred_N, labels=range(classes))
        assert metrics.accuracy(counts) == accuracy_score(true_N, pred_N)
        assert np.array_equal(counts, confusion_matrix(true_N, pred_N, labels=range(classes)))
        got = metrics.score_counts(counts, [str(c) for c in range(classes)])
        mine = [(c.precision, c.recall, c.f1, c.support) for c in got.classes]
        assert np.allclose(mine, np.array(table).T, atol=1e-12)
    assert absent > 20


def test_scores_of_partly_known_rows() -> None:
    truth = {"t": ints(0, 1, 2, 2), "u": ints(0, 1, -1, 0)}
    pred = SPACE.encode({"t": ints(0, 1, 2, 0), "u": ints(0, 0, 1, 0)})
    scores = metrics.score(pred, truth, SPACE)
    assert (scores.rows, scores.accuracy) == (3, pytest.approx(1 / 3))  # only the first row is right in both tasks
    assert scores.tasks["t"].rows == 4
    assert scores.tasks["t"].accuracy == 0.75
    assert scores.tasks["u"].rows == 3
    assert scores.tasks["u"].macro_f1 == pytest.approx((4 / 5 + 0) / 2)
    # joint: truth a/x b/y c/x against a/x b/x a/x, so four classes occur and only a/x scores, 2/3
    assert (scores.classes_scored, scores.macro_f1) == (4, pytest.approx(2 / 3 / 4))
    first = scores.joint.classes[0]
    assert (first.name, first.support, first.predicted, first.precision, first.recall) == ("a/x", 1, 2, 0.5, 1.0)


def test_a_task_follows_the_joint_maximum_not_the_marginal() -> None:
    # a/x 0.4 is the joint maximum; task t's marginal would say b (0.3 + 0.3)
    prob = np.array([[0.4, 0.0, 0.3, 0.3, 0.0, 0.0]])
    scores = metrics.score(prob, {"t": ints(0), "u": ints(0)}, SPACE)
    assert scores.tasks["t"].accuracy == 1.0


def test_probabilities_and_labels_score_alike() -> None:
    rng = np.random.default_rng(0)
    prob = rng.dirichlet(np.ones(18), 200)
    truth = CONTEST.decode(rng.integers(18, size=200))
    assert metrics.score(prob, truth, CONTEST) == metrics.score(prob.argmax(axis=1), truth, CONTEST)


def test_nan_probabilities_are_named() -> None:
    prob = np.full((3, 6), 1 / 6)
    prob[1] = np.nan
    with pytest.raises(ResultError, match="not finite") as caught:
        metrics.score(prob, {"t": ints(0, 0, 0), "u": ints(0, 0, 0)}, SPACE)
    assert caught.value.offenders == ("row 1",)
    with pytest.raises(ValueError, match=r"\(N, 6\)"):
        metrics.score(np.full((3, 5), 0.2), {"t": ints(0, 0, 0), "u": ints(0, 0, 0)}, SPACE)


def test_scores_are_plain_data() -> None:
    scores = metrics.score(ints(0, 1), {"t": ints(0, -1), "u": ints(0, 1)}, SPACE)
    data = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert list(data) == ["macro_f1", "accuracy", "rows", "classes_scored", "classes", "tasks"]
    assert len(data["classes"]) == 6
    assert list(data["tasks"]) == ["t", "u"]
    assert data["tasks"]["u"]["classes"][1] == {
        "name": "y", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1, "predicted": 1,
    }  # fmt: skip
