"""Metrics: hand-made tables, scikit-learn's answers, and the bootstrap against a plain loop."""

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
    assert metrics.summary(counts, ("a", "b")).to_json()["macro_f1"] is None


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
        got = metrics.summary(counts, [str(c) for c in range(classes)])
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


def photos(people: int, seed: int = 0) -> tuple[Ints, Ints, list[str]]:
    """Seven photos a person; a person the model knows is right on nearly all of them, others on few."""
    rng = np.random.default_rng(seed)
    true_N = np.repeat(rng.integers(6, size=people), 7)
    known_N = np.repeat(rng.random(people) < 0.7, 7)
    right_N = rng.random(len(true_N)) < np.where(known_N, 0.97, 0.1)
    pred_N = np.where(right_N, true_N, rng.integers(6, size=len(true_N)))
    return true_N, pred_N, [f"p{i // 7}" for i in range(len(true_N))]


def test_resampled_scores_equal_a_plain_loop() -> None:
    true_N, pred_N, person_N = photos(12)
    people = sorted(set(person_N))
    who_N = np.array([people.index(name) for name in person_N])
    hits_PC, marks_PC = metrics.person_counts(true_N, pred_N, who_N, 6)
    weights_DP = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=40).astype(float)
    expected = []
    for weight_P in weights_DP.astype(int):
        rows = np.repeat(np.arange(len(who_N)), weight_P[who_N])
        expected.append(f1_score(true_N[rows], pred_N[rows], average="macro"))
    assert metrics.resampled_macro_f1(weights_DP, hits_PC, marks_PC) == pytest.approx(expected, abs=1e-12)


def test_interval_equals_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    true_N, pred_N, person_N = photos(20, seed=3)
    people = sorted(set(person_N))
    rows_of = [[i for i, name in enumerate(person_N) if name == who] for who in people]
    rng = np.random.default_rng(11)
    draws = []
    for _ in range(60):
        rows = [row for who in rng.integers(20, size=20) for row in rows_of[who]]
        draws.append(f1_score(true_N[rows], pred_N[rows], average="macro"))
    low, high = np.quantile(draws, [0.1, 0.9])
    for at_once in (1, 70, 1 << 20):  # one draw at a time, a few, all: the same interval
        monkeypatch.setattr(metrics, "WEIGHTS_AT_ONCE", at_once)
        got = metrics.person_bootstrap(true_N, pred_N, person_N, 6, draws=60, seed=11, level=0.8)
        assert (got.low, got.high, got.draws, got.level) == (pytest.approx(low), pytest.approx(high), 60, 0.8)


@pytest.mark.parametrize("taken", [None, 3, 50])
def test_resamples_take_as_many_people_as_asked_whatever_the_piece(
    taken: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    expected = [np.bincount(rng.integers(11, size=taken or 11), minlength=11).tolist() for _ in range(30)]
    for at_once, pieces in ((1, 30), (170, {None: 2, 3: 2, 50: 10}[taken]), (1 << 20, 1)):
        monkeypatch.setattr(metrics, "WEIGHTS_AT_ONCE", at_once)
        got = list(metrics.resamples(11, 30, seed=4, taken=taken))
        assert len(got) == pieces
        assert np.concatenate(got).tolist() == expected


def test_interval_does_not_depend_on_row_order_and_skips_unknown_rows() -> None:
    true_N, pred_N, person_N = photos(30)
    order = np.random.default_rng(0).permutation(len(true_N))
    person = np.array(person_N)
    one = metrics.person_bootstrap(true_N, pred_N, person, 6, seed=5, draws=50)
    assert metrics.person_bootstrap(true_N[order], pred_N[order], person[order], 6, seed=5, draws=50) == one
    more = (np.append(true_N, [-1, -1]), np.append(pred_N, [0, 1]), [*person_N, "nobody", "p0"])
    assert metrics.person_bootstrap(*more, 6, seed=5, draws=50) == one
    assert metrics.person_bootstrap(true_N, pred_N, person, 6, seed=6, draws=50) != one


def test_interval_of_people_is_wider_than_of_photos() -> None:
    true_N, pred_N, person_N = photos(150)
    value = metrics.macro_f1(metrics.confusion(true_N, pred_N, 6))
    people = metrics.person_bootstrap(true_N, pred_N, person_N, 6, seed=0, draws=400)
    rows = metrics.person_bootstrap(true_N, pred_N, [str(i) for i in range(len(true_N))], 6, seed=0, draws=400)
    assert people.low < value < people.high
    # right or wrong is nearly the same on all 7 photos, so the width grows by about sqrt(7) = 2.6
    assert 1.8 < (people.high - people.low) / (rows.high - rows.low) < 3.2


def test_one_person_has_no_spread() -> None:
    got = metrics.person_bootstrap(ints(0, 1, 1), ints(0, 1, 0), ["p", "p", "p"], 2, seed=0, draws=5)
    assert got.low == got.high == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": 0}, "draws"),
        ({"level": 1.0}, "level"),
        ({"true_N": ints(-1, -1)}, "no row"),
        ({"person_N": ["p"]}, "1 people for 2 rows"),
        ({"pred_N": ints(0, 7)}, "must lie"),
    ],
)
def test_bootstrap_refuses_nonsense(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"true_N": ints(0, 1), "pred_N": ints(0, 1), "person_N": ["p", "q"], "classes": 2}
    with pytest.raises(ValueError, match=message):
        metrics.person_bootstrap(**{**good, "seed": 0, **change})  # type: ignore[arg-type]
