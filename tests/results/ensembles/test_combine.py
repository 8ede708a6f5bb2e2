"""Rules that join members: hand-made tables, plain loops, planted mistakes in ids and classes, and the benchmark."""

from __future__ import annotations

import json
import runpy
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import BENCHMARKS_DIR
from scipy.stats import gmean

from maskcls.errors import DataError, UsageError, WeightsError
from maskcls.labels import CONTEST, Floats, LabelSpace, Task
from maskcls.results.ensembles.combine import (
    Method,
    combine,
    combine_tasks,
    combine_weighted,
    geometric_mean,
    majority,
    rank_mean,
    to_shares,
    weighted_mean,
)
from maskcls.results.predictions import Predictions

BENCHMARKS = BENCHMARKS_DIR
METHODS: list[Method] = ["mean", "geometric", "vote", "rank"]
SWAPPED = LabelSpace((Task("mask", ("normal", "incorrect", "wear")), *CONTEST.tasks[1:]))


def rows(*values: list[float]) -> Floats:
    return np.array(values, dtype=np.float32)


def some(ids: list[str], seed: int, space: LabelSpace = CONTEST) -> Predictions:
    prob = np.random.default_rng(seed).dirichlet(np.ones(space.size), len(ids)).astype(np.float32)
    return Predictions(ids, prob, space, {"seed": seed})


def three(n: int = 6) -> list[Predictions]:
    """The same ids in three orders."""
    ids = [f"p{i}" for i in range(n)]
    return [some(ids, 0), some(ids[::-1], 1), some(ids[3:] + ids[:3], 2)]


# --- joined by id


@pytest.mark.parametrize("method", METHODS)
def test_members_are_joined_by_id(method: Method) -> None:
    members = three()
    got = combine(members, method)
    sorted_first = combine([member.align(members[0].ids) for member in members], method)
    assert got.ids.tolist() == members[0].ids.tolist()
    assert np.array_equal(got.prob, sorted_first.prob)
    # Joined by position the result is another one: the orders do differ.
    by_position = combine([Predictions(members[0].ids, member.prob, CONTEST) for member in members], method)
    assert not np.allclose(got.prob, by_position.prob, atol=1e-3)
    assert np.allclose(got.prob.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_missing_rows_and_other_classes_are_refused(method: Method) -> None:
    first, *_ = three()
    for other, error, what in (
        (some(first.ids.tolist()[:-1], 1), DataError, "ids of two tables differ"),
        (some([*first.ids.tolist()[:-1], "stranger"], 1), DataError, "ids of two tables differ"),
        (some(first.ids.tolist(), 1, SWAPPED), WeightsError, "different label spaces"),
    ):
        with pytest.raises(error, match=what) as caught:
            combine([first, other], method, names=("ours", "theirs"))
        assert "theirs" in str(caught.value)
        with pytest.raises(error, match=what):
            combine_weighted([first, other], np.array([1.0, 1.0]))
        with pytest.raises(error, match=what):
            combine_tasks({"mask": first, "gender": first, "age": other})


@pytest.mark.parametrize("method", METHODS)
def test_no_members(method: Method) -> None:
    with pytest.raises(ValueError, match="no predictions"):
        combine([], method)


def test_the_lineage_tells_members_and_method() -> None:
    members = three()
    assert combine(members, "vote").lineage == {
        "ensemble": {"method": "vote"},
        "members": [{"seed": 0}, {"seed": 1}, {"seed": 2}],
    }
    got = combine_weighted(members, np.array([2.0, 1.0, 1.0])).lineage["ensemble"]
    assert got == {"method": "weighted", "weights": [0.5, 0.25, 0.25]}
    assert combine(members, "mean").lineage == Predictions.mean(members).lineage


@pytest.mark.parametrize("method", ["mean", "geometric", "vote"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), members=st.integers(1, 6))
def test_the_order_of_members_and_rows_does_not_matter(method: Method, seed: int, members: int) -> None:
    ids = [f"p{i}" for i in range(8)]
    given_ = [some(ids, seed + m) for m in range(members)]
    rng = np.random.default_rng(seed)
    mixed = [given_[m] for m in rng.permutation(members)]
    shuffled = [mixed[0].align(rng.permutation(ids).tolist()), *mixed[1:]]
    assert np.allclose(combine(given_, method).prob, combine(shuffled, method).align(ids).prob, atol=1e-6)


# --- weights


def test_weighted_mean_equals_a_plain_loop() -> None:
    members = [some(["a", "b"], seed).prob for seed in range(3)]
    weights = [0.5, 0.3, 0.2]
    expected = [
        [sum(w * float(m[n, j]) for w, m in zip(weights, members, strict=True)) for j in range(18)] for n in (0, 1)
    ]
    assert np.allclose(weighted_mean(members, np.array(weights)), expected, atol=1e-7)


def test_equal_weights_are_the_mean_and_one_weight_is_the_member() -> None:
    members = three()
    mean = combine(members, "mean").prob
    assert np.allclose(combine_weighted(members, np.full(3, 7.0)).prob, mean, atol=1e-7)  # float32
    assert np.array_equal(combine_weighted(members, np.array([1, 0, 0])).prob, members[0].prob)


def test_weights_of_tasks() -> None:
    members = three()
    weights = {"mask": np.array([1, 0, 0]), "gender": np.array([0, 3, 1]), "age": np.array([0, 0, 1])}
    got = CONTEST.marginals(combine_weighted(members, weights).prob)
    m0, m1, m2 = (CONTEST.marginals(member.align(members[0].ids).prob) for member in members)
    assert np.allclose(got["mask"], m0["mask"], atol=1e-6)
    assert np.allclose(got["gender"], 0.75 * m1["gender"] + 0.25 * m2["gender"], atol=1e-6)
    assert np.allclose(got["age"], m2["age"], atol=1e-6)


def test_tasks_from_several_members() -> None:
    a, b, _ = three()
    got = combine_tasks({"age": b, "mask": a, "gender": a})
    of_a, of_b = CONTEST.marginals(a.prob), CONTEST.marginals(b.align(a.ids).prob)
    by_hand = np.einsum("nm,ng,na->nmga", of_a["mask"], of_a["gender"], of_b["age"]).reshape(len(a), 18)
    assert np.allclose(got.prob, by_hand, atol=1e-6)
    assert got.lineage == {
        "ensemble": {"method": "tasks", "tasks": ["mask", "gender", "age"]},
        "members": [{"seed": 0}, {"seed": 0}, {"seed": 1}],
    }


@pytest.mark.parametrize(
    "weights", [[1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [1.0, -0.1, 1.0], [0.0, 0.0, 0.0], [1.0, np.nan, 1.0], [np.inf, 1, 1]]
)
def test_weights_that_are_none(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="no weights"):
        combine_weighted(three(), np.array(weights))
    with pytest.raises(UsageError, match="no weights") as caught:
        combine_weighted(three(), {"mask": np.ones(3), "gender": np.array(weights), "age": np.ones(3)})
    assert caught.value.where == "task gender"


def test_every_task_needs_weights_and_a_member() -> None:
    member = three()[0]
    for given_ in ({"mask", "age"}, {"mask", "gender", "age", "hat"}, set()):
        with pytest.raises(UsageError, match="own entry"):
            combine_tasks(dict.fromkeys(given_, member))
        with pytest.raises(UsageError, match="own entry"):
            combine_weighted([member], dict.fromkeys(given_, np.ones(1)))


def test_shares() -> None:
    assert to_shares([3, 1], 2).tolist() == [0.75, 0.25]


# --- geometric mean


def test_geometric_mean_equals_scipy() -> None:
    members = [some([f"p{i}" for i in range(50)], seed).prob for seed in range(4)]
    expected = gmean(np.maximum(np.stack(members).astype(np.float64), 1e-7), axis=0)
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.allclose(geometric_mean(members), expected, atol=1e-6)


def test_a_hard_zero_does_not_overrule_the_others() -> None:
    # sqrt(1 * 1e-7) both ways: two sure members that disagree leave a draw, not 0 / 0
    assert np.allclose(geometric_mean([rows([1, 0]), rows([0, 1])]), [[0.5, 0.5]])
    # cube roots of 0.9 * 0.9 * 1e-7 = 0.00433 and of 0.1 * 0.1 * 1: the sure member wins, but the others are heard
    got = geometric_mean([rows([0.9, 0.1]), rows([0.9, 0.1]), rows([0, 1])])
    first, second = (0.81e-7) ** (1 / 3), 0.01 ** (1 / 3)
    assert np.allclose(got, [[first / (first + second), second / (first + second)]], atol=1e-6)


def test_many_sure_members_do_not_underflow() -> None:
    got = geometric_mean([rows([1, 0, 0])] * 50 + [rows([0, 1, 0])] * 50)
    assert np.allclose(got, [[0.5, 0.5, 1e-7**0.5 * 1e-7**0.5 / 2 / 1e-7**0.5]], atol=1e-3)
    assert np.isfinite(got).all()


# --- majority


def plain_vote(members: list[Floats]) -> list[int]:
    """Most votes, then the highest exact sum, then the lowest class; exact, because floats are fractions."""
    chosen = []
    for n in range(len(members[0])):
        of_row = [[Fraction(float(p)) for p in member[n]] for member in members]
        votes = Counter(row.index(max(row)) for row in of_row)
        sums = [sum(column) for column in zip(*of_row, strict=True)]
        chosen.append(max(range(len(sums)), key=lambda j: (votes[j], sums[j], -j)))
    return chosen


def test_votes_beat_probability() -> None:
    # two lukewarm votes for class 1 against one sure vote for class 0
    got = majority([rows([1.0, 0.0]), rows([0.49, 0.51]), rows([0.49, 0.51])])
    assert got.argmax() == 1
    # votes 1 and 2, means 0.66 and 0.34
    assert np.allclose(got, [[(1 + 0.66) / 2 / 3.5 + 0.5 / 3.5, (2 + 0.17) / 3.5]], atol=1e-6)


def test_a_tied_vote_goes_to_the_higher_mean_and_then_to_the_lower_class() -> None:
    tie = [rows([0.1, 0.5, 0.4]), rows([0.0, 0.2, 0.8])]  # one vote each for 1 and 2; means 0.35 and 0.6
    assert majority(tie).argmax() == 2
    all_tied = [rows([0.2, 0.5, 0.3]), rows([0.2, 0.3, 0.5])]
    assert majority(all_tied).argmax() == 1
    own_tie = [rows([0.0, 0.5, 0.5])]
    assert majority(own_tie).argmax() == 1
    # class 0 has no vote and the highest mean: it wins only against its equals
    third = [rows([0.45, 0.55, 0.0]), rows([0.45, 0.0, 0.55])]
    assert majority(third).argmax() == 1


def test_means_nearer_than_float32_can_tell_still_decide() -> None:
    # one vote each; in sum class 1 is ahead by 2^-24, which is less than float32 can tell after dividing
    half, above = np.float32(0.5), np.nextafter(np.float32(0.5), np.float32(1))
    below = half - np.float32(2**-26)
    members = [np.array([[half, below]]), np.array([[below, above]])]
    assert above - half == 2**-24
    assert plain_vote(members) == [1]
    assert majority(members).argmax() == 1


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), members=st.integers(1, 7), classes=st.integers(2, 5), steps=st.integers(2, 6))
def test_majority_equals_exact_counting(seed: int, members: int, classes: int, steps: int) -> None:
    """Few steps of probability make ties of every kind common."""
    rng = np.random.default_rng(seed)
    given_ = [
        (rng.multinomial(steps, np.full(classes, 1 / classes), size=20) / steps).astype(np.float32)
        for _ in range(members)
    ]
    got = majority(given_)
    assert got.argmax(axis=1).tolist() == plain_vote(given_)
    assert np.allclose(got.sum(axis=1), 1, atol=1e-5)


def test_a_member_of_labels_only_has_one_vote() -> None:
    a = Predictions(["x", "y"], np.eye(18, dtype=np.float32)[[3, 4]], CONTEST)
    assert combine([a, a, some(["x", "y"], 0)], "vote").labels().tolist() == [3, 4]


# --- ranks


def test_ranks_by_hand() -> None:
    # columns 0.2 0.9 0.2 -> 1.5 3 1.5 and 0.8 0.1 0.8 -> 2.5 1 2.5, over 3 rows
    got = rank_mean([rows([0.2, 0.8], [0.9, 0.1], [0.2, 0.8])])
    assert np.allclose(got, [[1.5 / 4, 2.5 / 4], [3 / 4, 1 / 4], [1.5 / 4, 2.5 / 4]], atol=1e-7)


def test_ranks_forget_the_scale_of_a_member() -> None:
    a, b = some(["a", "b", "c", "d"], 0).prob, some(["a", "b", "c", "d"], 1).prob
    assert np.array_equal(rank_mean([a, b]), rank_mean([a**2, b]))  # the same order in every column
    assert not np.array_equal(rank_mean([a, b]), rank_mean([a, b[::-1]]))


# --- the benchmark


def test_the_benchmark_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = runpy.run_path(str(BENCHMARKS / "ensemble.py"))
    stages = {**benchmark["SEARCHES"], **benchmark["LARGE"]}
    assert list(stages) == ["greedy", "bagged", "convex", "convex_tasks", "stack", "mean", "weighted", "rules"]
    for name in ("bagged", "convex_tasks", "stack", "rules"):  # here at once: a process each takes seconds to start
        stages[name](3, 360)()
        benchmark["SEARCHES"].pop(name, None)
        benchmark["LARGE"].pop(name, None)
    sizes = ["--members", "3", "--rows", "360", "--large-rows", "500", "--large-members", "2"]
    monkeypatch.setattr(sys, "argv", ["ensemble.py", *sizes, "--json", str(tmp_path / "out.json")])
    benchmark["main"]()

    data, printed = json.loads((tmp_path / "out.json").read_text()), capsys.readouterr().out
    assert list(data["stages"]) == ["greedy", "convex", "mean", "weighted"]
    for name, result in data["stages"].items():
        assert f"| {name} |" in printed
        assert result["seconds"][0] > 0
        assert result["peak_mib"] > 10
    assert [data[name] for name in ("members", "rows", "large_rows", "large_members")] == [3, 360, 500, 2]
    assert "greedy and convex together" in printed
