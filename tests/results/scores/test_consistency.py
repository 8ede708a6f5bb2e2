"""Photos of one person: agreement by hand and by a plain loop over pairs, and what averaging would give."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcls.labels import CONTEST, Ints, LabelSpace, Task, constant_tasks
from maskcls.results.scores.consistency import consistency, person_agreement, person_averaged
from maskcls.results.scores.metrics import score

SPACE = LabelSpace((Task("hat", ("no", "yes")), Task("age", ("young", "mid", "old"), (30, 60))))
ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=30)


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


@settings(deadline=None, max_examples=40)
@given(ROWS)
def test_agreement_equals_a_loop_over_pairs(rows: list[tuple[int, int]]) -> None:
    people = sorted({who for who, _ in rows})
    labels = [[label for other, label in rows if other == who] for who in people]
    several = [own for own in labels if len(own) > 1]
    if not several:
        return
    pairs = [np.mean([a == b for a, b in itertools.combinations(own, 2)]) for own in several]
    got = person_agreement(ints(*(label for _, label in rows)), ints(*(people.index(who) for who, _ in rows)))
    assert got.pairs == pytest.approx(np.mean(pairs))
    assert got.whole == pytest.approx(np.mean([len(set(own)) == 1 for own in several]))


def test_tasks_that_vary_within_a_person_are_left_out() -> None:
    who_N = ints(0, 0, 1, 1)
    assert constant_tasks({"hat": ints(0, 1, 0, 0), "age": ints(2, 2, 0, -1)}, who_N, SPACE) == ("age",)
    assert constant_tasks({"hat": ints(0, 0, 1, 1), "age": ints(2, 2, 0, 1)}, who_N, SPACE) == ("hat",)
    assert constant_tasks({"hat": ints(-1, -1, -1, -1), "age": ints(0, 1, 0, 0)}, who_N, SPACE) == ("hat",)


def test_a_task_without_a_known_label_is_left_out() -> None:
    people_N, pred_N = np.array(["ann", "ann"]), ints(0, 1)
    assert consistency(pred_N, {"hat": ints(-1, -1), "age": ints(0, 1)}, SPACE, people_N) is None
    found = consistency(pred_N, {"hat": ints(-1, -1), "age": ints(1, 1)}, SPACE, people_N)
    assert found is not None
    assert list(found.tasks) == ["age"]


def test_by_hand() -> None:
    # ann: old old mid of old; bob: young young of young; cy has one photo
    people_N = np.array(["ann", "bob", "ann", "ann", "bob", "cy"])
    truth = {"hat": ints(0, 0, 1, 0, 1, 0), "age": ints(2, 0, 2, 2, 0, 1)}
    pred_N = SPACE.encode({"hat": ints(0, 0, 1, 1, 1, 0), "age": ints(2, 0, 1, 2, 0, 0)})
    got = consistency(pred_N, truth, SPACE, people_N)
    assert got is not None
    assert (got.people, list(got.tasks)) == (2, ["age"])
    assert (got.tasks["age"].pairs, got.tasks["age"].whole) == (pytest.approx((1 / 3 + 1) / 2), 0.5)
    assert got.together == got.tasks["age"]
    # ann's votes say old on all three; her hats stay as they were, one of them wrong
    wanted = SPACE.encode({"hat": ints(0, 0, 1, 1, 1, 0), "age": ints(2, 0, 2, 2, 0, 0)})
    assert got.averaged == score(wanted, truth, SPACE)
    assert got.averaged.tasks["age"].accuracy == pytest.approx(5 / 6)


def test_probabilities_are_averaged_over_all_constant_tasks_together() -> None:
    rng = np.random.default_rng(0)
    prob_NJ = rng.dirichlet(np.ones(18), 21)
    who_N = np.repeat(np.arange(3), 7)
    shared = CONTEST.only(["gender", "age"])
    got = CONTEST.decode(person_averaged(prob_NJ.argmax(axis=1), who_N, CONTEST, shared, prob_NJ))
    for who in range(3):
        mean_J = prob_NJ[who_N == who].mean(axis=0)
        best = max(
            itertools.product(range(2), range(3)),
            key=lambda ga: sum(mean_J[m * 6 + ga[0] * 3 + ga[1]] for m in range(3)),
        )
        rows = np.flatnonzero(who_N == who)
        assert {(g, a) for g, a in zip(got["gender"][rows].tolist(), got["age"][rows].tolist(), strict=True)} == {best}
        assert got["mask"][rows].tolist() == (prob_NJ[rows].argmax(axis=1) // 6).tolist()


def test_a_tie_of_votes_goes_to_the_lowest_class() -> None:
    pred_N = SPACE.encode({"hat": ints(0, 1), "age": ints(2, 0)})
    got = person_averaged(pred_N, ints(0, 0), SPACE, SPACE.only(["age"]), None)
    assert {name: part.tolist() for name, part in SPACE.decode(got).items()} == {"hat": [0, 1], "age": [0, 0]}


def test_nothing_to_compare() -> None:
    truth = {"hat": ints(0, 1), "age": ints(0, 0)}
    assert consistency(ints(0, 1), truth, SPACE, np.array(["ann", "bob"])) is None
    varying = {"hat": ints(0, 1), "age": ints(0, 1)}
    assert consistency(ints(0, 1), varying, SPACE, np.array(["ann", "ann"])) is None


def test_row_order_changes_nothing_and_it_is_plain_data() -> None:
    rng = np.random.default_rng(1)
    people_N = np.repeat([f"p{i}" for i in range(10)], 7)
    truth = CONTEST.encode(
        {"mask": np.tile([0, 0, 0, 0, 0, 1, 2], 10), "gender": np.repeat(rng.integers(2, size=10), 7),
         "age": np.repeat(rng.integers(3, size=10), 7)}
    )  # fmt: skip
    prob_NJ = rng.dirichlet(np.ones(18), 70)
    pred_N, order = prob_NJ.argmax(axis=1), rng.permutation(70)
    one = consistency(pred_N, CONTEST.decode(truth), CONTEST, people_N, prob_NJ)
    other = consistency(pred_N[order], CONTEST.decode(truth[order]), CONTEST, people_N[order], prob_NJ[order])
    assert one is not None
    assert one == other
    data = json.loads(json.dumps(one.to_json(), allow_nan=False))
    assert list(data["tasks"]) == ["gender", "age"]
    assert data["averaged"]["macro_f1"] == one.averaged.macro_f1
    assert data["together"]["pairs"] < min(agreed["pairs"] for agreed in data["tasks"].values())
