"""Slices: a table made by hand, pandas' groupby on random rows, and what a class was taken for."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from maskcls.labels import CONTEST, Ints, LabelSpace, Task
from maskcls.results.scores.intervals import Interval, share_interval
from maskcls.results.scores.slices import class_recall, mistakes, slices, worst

SPACE = LabelSpace((Task("hat", ("no", "yes")), Task("age", ("young", "mid", "old"), (30, 60))))


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def joint(hat: Ints, age: Ints) -> Ints:
    return SPACE.encode({"hat": hat, "age": age})


def random_rows(seed: int) -> tuple[Ints, dict[str, Ints], pd.DataFrame]:
    """Joint predictions, partly unknown truth, and both as a table with the person."""
    rng = np.random.default_rng(seed)
    truth_N = rng.choice([0, 1, 4, 7, 9, 13, 17], 200)
    pred_N = np.where(rng.random(200) < 0.5, truth_N, rng.integers(18, size=200))
    truth = CONTEST.decode(truth_N)
    for name in CONTEST.names:
        truth[name][rng.random(200) < 0.1] = -1
    frame = pd.DataFrame({f"true_{name}": labels for name, labels in truth.items()} | dict(CONTEST.decode(pred_N)))
    return pred_N, truth, frame.assign(person=rng.integers(30, size=200), pred=pred_N)


def test_by_hand() -> None:
    # hat no: rows 0, 1, 2; age is right on 0 and 2, hat on 0 and 1, both on 0
    truth = {"hat": ints(0, 0, 0, 1, -1), "age": ints(0, 1, 2, 2, 0)}
    pred_N = joint(ints(0, 0, 1, 1, 0), ints(0, 0, 2, 2, 0))
    no, yes = slices(pred_N, truth, SPACE, ["hat"], np.array(["ann", "ann", "bob", "bob", "cy"]))
    assert (no.name, no.rows, no.people, no.accuracy) == ("no", 3, 2, pytest.approx(1 / 3))
    assert no.tasks == {"hat": pytest.approx(2 / 3), "age": pytest.approx(2 / 3)}
    assert (yes.rows, yes.people, yes.accuracy, yes.tasks) == (1, 1, 1.0, {"hat": 1.0, "age": 1.0})
    assert no.interval == share_interval(np.array([True, False, False]), np.array(["ann", "ann", "bob"]))
    assert yes.interval == Interval(0.0, 1.0, 0.95)
    rows, _ = slices(pred_N, truth, SPACE, ["hat"])
    assert rows.interval == share_interval(np.array([True, False, False]), np.arange(3))


@pytest.mark.parametrize("names", [["mask"], ["gender", "age"], ["mask", "gender", "age"]])
@pytest.mark.parametrize("seed", range(3))
def test_equal_to_a_groupby(names: list[str], seed: int) -> None:
    pred_N, truth, frame = random_rows(seed)
    found = slices(pred_N, truth, CONTEST, names, frame["person"].to_numpy())
    assert len(found) == math.prod(len(CONTEST.task(name).classes) for name in names)
    empty = 0
    for one in found:
        here = frame
        for name, label in one.classes.items():
            here = here[here[f"true_{name}"] == CONTEST.task(name).classes.index(label)]
        assert (one.rows, one.people) == (len(here), here["person"].nunique())
        right = {name: (here[name] == here[f"true_{name}"])[here[f"true_{name}"] >= 0] for name in CONTEST.names}
        assert one.tasks == {name: pytest.approx(series.mean(), nan_ok=True) for name, series in right.items()}
        whole = here[(here[[f"true_{name}" for name in CONTEST.names]] >= 0).all(axis=1)]
        every = np.logical_and.reduce([whole[name] == whole[f"true_{name}"] for name in CONTEST.names])
        assert one.accuracy == pytest.approx(np.mean(every) if len(whole) else math.nan, nan_ok=True)
        empty += one.rows == 0
    assert (empty > 0) == (len(names) > 1)  # women of 60 and more are never true here


def test_the_order_of_the_classes_follows_the_space_not_the_names() -> None:
    truth = {"hat": ints(0), "age": ints(2)}
    found = slices(joint(ints(0), ints(2)), truth, SPACE, ["age", "hat"])
    assert [one.name for one in found] == list(SPACE.joint_names)
    assert [one.rows for one in found] == [0, 0, 1, 0, 0, 0]
    assert found[2].people is None


def test_the_worst_come_first_and_empty_ones_never() -> None:
    truth = {"hat": ints(0, 0, 0, 0, 1, 1), "age": ints(0, 0, 1, 1, 2, 2)}
    pred_N = joint(ints(0, 0, 1, 1, 0, 1), ints(0, 0, 1, 0, 2, 2))
    found = worst(slices(pred_N, truth, SPACE, SPACE.names), 9)
    assert [(one.name, one.accuracy) for one in found] == [("no/mid", 0.0), ("yes/old", 0.5), ("no/young", 1.0)]
    assert worst(found) == found[:1]
    assert worst([]) == ()
    equal = worst(slices(pred_N[[2, 4, 4]], {k: v[[2, 4, 4]] for k, v in truth.items()}, SPACE, SPACE.names))
    assert equal[0].name == "yes/old"  # two rows wrong of two, before one of one


def test_recall_of_a_class_and_what_it_was_taken_for() -> None:
    truth = {"hat": ints(0, 0, 0, 0, 0, 1, -1), "age": ints(2, 2, 2, 2, 0, 2, 2)}
    pred_N = joint(ints(0, 1, 0, 0, 0, 1, 0), ints(2, 1, 1, 0, 2, 2, 0))
    no, yes = class_recall(pred_N, truth, SPACE, "age", 2, np.array(["a", "a", "b", "b", "c", "d", "e"]))
    assert (no.label, no.name, no.rows, no.people, no.recall) == ("old", "no", 4, 2, 0.25)
    assert list(no.mistaken.items()) == [("mid", 2), ("young", 1)]
    assert (yes.rows, yes.recall, dict(yes.mistaken)) == (1, 1.0, {})


@pytest.mark.parametrize("seed", range(3))
def test_recall_equals_a_groupby(seed: int) -> None:
    pred_N, truth, frame = random_rows(seed)
    old = frame[frame["true_age"] == 2]
    found = class_recall(pred_N, truth, CONTEST, "age", 2)
    assert [one.name for one in found] == [
        "/".join((m, g)) for m in CONTEST.tasks[0].classes for g in ("male", "female")
    ]
    cells = [(mask, gender) for mask in range(3) for gender in range(2)]
    for one, (mask, gender) in zip(found, cells, strict=True):
        here = old[(old["true_mask"] == mask) & (old["true_gender"] == gender)]
        assert one.rows == len(here)
        assert one.recall == pytest.approx((here["age"] == 2).mean(), nan_ok=True)
        counts = here["age"].value_counts().to_dict()
        assert dict(one.mistaken) == {CONTEST.task("age").classes[c]: n for c, n in counts.items() if c != 2}


def test_mistakes_by_hand() -> None:
    truth = {"hat": ints(0, 0, 0, 1, 1), "age": ints(0, 0, 0, 1, -1)}
    pred_N = joint(ints(0, 1, 1, 1, 0), ints(0, 0, 0, 2, 0))
    assert [(m.true, m.predicted, m.rows, m.share) for m in mistakes(pred_N, truth, SPACE)] == [
        ("no/young", "yes/young", 2, pytest.approx(2 / 3)),
        ("yes/mid", "yes/old", 1, 1.0),
    ]
    assert mistakes(pred_N[:1], {k: v[:1] for k, v in truth.items()}, SPACE) == ()


def test_json_has_null_for_what_is_not_there() -> None:
    truth = {"hat": ints(0), "age": ints(-1)}
    one, _ = slices(joint(ints(0), ints(0)), truth, SPACE, ["hat"])
    data = json.loads(json.dumps(one.to_json(), allow_nan=False))
    assert data == {
        "name": "no", "classes": {"hat": "no"}, "rows": 1, "people": None, "accuracy": None, "interval": None,
        "tasks": {"hat": 1.0, "age": None},
    }  # fmt: skip
    recall, _ = class_recall(joint(ints(0), ints(0)), truth, SPACE, "age", 2)
    assert json.loads(json.dumps(recall.to_json(), allow_nan=False))["recall"] is None
