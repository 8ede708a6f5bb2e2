"""Searched weights: brute force over small grids, a plain greedy loop, other optimisers, and honest scores."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.metrics import f1_score, log_loss

from maskcls.errors import ResultError
from maskcls.labels import CONTEST, Floats, Ints
from maskcls.results.ensembles import weight_search as weighting
from maskcls.results.ensembles.combine import weighted_mean
from maskcls.results.ensembles.weight_search import (
    CONVEX_TOLERANCE,
    Search,
    bagged_weights,
    convex_gap,
    convex_weights,
    greedy_weights,
    nested_weights,
    search_weights,
)

SEARCHES: list[Search] = ["greedy", "bagged", "convex", "convex-tasks"]


def case(rows: int, noise: list[float], classes: int = 4, seed: int = 0) -> tuple[list[Floats], Ints]:
    """Members that see the same hard rows, each with noise of its own."""
    rng = np.random.default_rng(seed)
    true_N = rng.integers(classes, size=rows)
    shared_NJ = rng.normal(0, 1, (rows, classes)) + 2 * np.eye(classes)[true_N]
    members = []
    for amount in noise:
        logit_NJ = shared_NJ + rng.normal(0, amount, (rows, classes))
        prob_NJ = np.exp(logit_NJ)
        members.append((prob_NJ / prob_NJ.sum(axis=1, keepdims=True)).astype(np.float32))
    return members, true_N


def sklearn_f1(members: list[Floats], weights: list[float], true_N: Ints) -> float:
    mixed_NJ = sum(w * member.astype(np.float64) for w, member in zip(weights, members, strict=True))
    return float(f1_score(true_N, np.argmax(mixed_NJ, axis=1), average="macro"))


def plain_greedy(members: list[Floats], true_N: Ints, rounds: int) -> list[float]:
    """Ensemble selection as it is described: try every member, score everything anew."""
    chosen: list[int] = []
    path = []
    for _ in range(rounds):
        scores = []
        for m in range(len(members)):
            counts = np.bincount([*chosen, m], minlength=len(members)).astype(float)
            scores.append(sklearn_f1(members, counts.tolist(), true_N))
        chosen.append(int(np.argmax(scores)))
        path.append(max(scores))
    kept = chosen[: int(np.argmax(path)) + 1]
    return (np.bincount(kept, minlength=len(members)) / len(kept)).tolist()


# --- greedy


@pytest.mark.parametrize("seed", range(4))
def test_greedy_equals_a_plain_loop(seed: int) -> None:
    members, true_N = case(150, [0.5, 0.8, 1.0, 1.5], seed=seed)
    assert greedy_weights(members, true_N, rounds=12).tolist() == plain_greedy(members, true_N, 12)


def test_sure_rows_are_skipped_without_changing_the_choice() -> None:
    """Sharp members leave most rows undecidable by one more; the plain loop looks at all of them."""
    members, true_N = case(300, [0.5, 1.0, 1.5], seed=5)
    sharp = [(m**4 / (m**4).sum(axis=1, keepdims=True)).astype(np.float32) for m in members]
    one_hot = np.eye(4, dtype=np.float32)[members[0].argmax(axis=1)]
    for given_ in (sharp, [*sharp, one_hot]):
        assert greedy_weights(given_, true_N, rounds=15).tolist() == plain_greedy(given_, true_N, 15)


def test_greedy_is_at_least_the_best_member_and_near_the_best_of_a_grid() -> None:
    members, true_N = case(400, [0.8, 0.9, 1.2], seed=1)
    found = sklearn_f1(members, greedy_weights(members, true_N).tolist(), true_N)
    grid = [w for w in itertools.product(range(11), repeat=3) if sum(w) == 10]
    assert len(grid) == 66
    best = max(sklearn_f1(members, list(map(float, w)), true_N) for w in grid)
    singles = [sklearn_f1(members, [float(i == m) for i in range(3)], true_N) for m in range(3)]
    assert found >= max(singles)
    assert found > best - 0.01  # greedy is no exact search; one row of 400 is 0.0025


def test_ties_go_to_the_first_member_and_the_shortest_list() -> None:
    perfect, wrong = np.eye(2, dtype=np.float32)[[0, 1]], np.eye(2, dtype=np.float32)[[1, 0]]
    true_N = np.array([0, 1])
    assert greedy_weights([wrong, perfect, perfect.copy()], true_N).tolist() == [0, 1, 0]


def test_rounds_bound_the_list() -> None:
    members, true_N = case(200, [0.9, 1.0, 1.1, 1.2], seed=2)
    assert sorted(greedy_weights(members, true_N, rounds=1).tolist()) == [0, 0, 0, 1]
    weights = greedy_weights(members, true_N, rounds=3)
    assert any(np.allclose(weights * k, np.round(weights * k)) for k in (1, 2, 3))
    assert max(greedy_weights(members, true_N, rounds=40)) < 1  # more rounds do something here


def test_rows_of_unknown_truth_do_not_count() -> None:
    members, true_N = case(200, [0.7, 1.0, 1.3], seed=3)
    hidden_N = np.where(np.arange(200) % 3 == 0, -1, true_N)
    kept = [member[hidden_N >= 0] for member in members]
    for search in (greedy_weights, convex_weights):
        assert np.array_equal(search(members, hidden_N), search(kept, true_N[hidden_N >= 0]))


# --- bags


def test_bags_are_the_mean_of_searches_among_halves() -> None:
    members, true_N = case(150, [0.5, 0.8, 1.0, 1.2, 0.7], seed=6)
    rng, expected = np.random.default_rng(11), np.zeros(5)
    for _ in range(4):
        half = sorted(rng.choice(5, 3, replace=False).tolist())
        expected[half] += np.array(plain_greedy([members[m] for m in half], true_N, 6)) / 4
    got = bagged_weights(members, true_N, seed=11, bags=4, rounds=6)
    assert np.allclose(got, expected, atol=1e-12)
    assert got.sum() == pytest.approx(1)
    assert np.array_equal(got, bagged_weights(members, true_N, seed=11, bags=4, rounds=6))
    assert not np.allclose(got, bagged_weights(members, true_N, seed=12, bags=4, rounds=6))
    with pytest.raises(ValueError, match="bags"):
        bagged_weights(members, true_N, seed=0, bags=0)


def test_the_seed_reaches_the_bags() -> None:
    members, truth, fold_N = contest_case(10, [0.8, 1.2])  # halves of one: which, the seed decides
    joint_N = CONTEST.encode(truth)
    assert np.array_equal(
        search_weights("bagged", members, truth, CONTEST, seed=5), bagged_weights(members, joint_N, seed=5)
    )
    a, b = (nested_weights("bagged", members, truth, fold_N, CONTEST, seed=seed) for seed in (5, 6))
    assert not np.array_equal(a, b)


# --- convex


def test_convex_equals_another_optimiser() -> None:
    members, true_N = case(500, [0.6, 0.9, 1.2, 2.0, 0.7], seed=4)
    true_MN = np.stack([m[np.arange(500), true_N].astype(np.float64) for m in members])

    def of_logits(logit_M: np.ndarray) -> float:
        weights = np.exp(logit_M) / np.exp(logit_M).sum()
        return float(-np.log(weights @ true_MN).mean())

    other = minimize(of_logits, np.zeros(5), method="BFGS")
    ours = convex_weights(members, true_N)
    loss = log_loss(true_N, weighted_mean(members, ours), labels=range(4))
    assert loss == pytest.approx(other.fun, abs=1e-5)
    assert np.allclose(ours, np.exp(other.x) / np.exp(other.x).sum(), atol=0.02)


def test_convex_is_not_beaten_by_a_grid() -> None:
    members, true_N = case(200, [0.7, 0.9, 1.6], seed=6)

    true_MN = np.stack([m[np.arange(200), true_N].astype(np.float64) for m in members])

    def loss(weights: np.ndarray) -> float:
        return float(-np.log(weights @ true_MN).mean())

    grid = [np.array(w) / 40 for w in itertools.product(range(41), repeat=3) if sum(w) == 40]
    assert len(grid) == 861
    ours = loss(convex_weights(members, true_N))
    losses = [loss(weights) for weights in grid]
    assert ours <= min(losses) + CONVEX_TOLERANCE
    assert ours > min(losses) - 2e-3  # the grid's own step


def test_a_useless_member_gets_nothing() -> None:
    (good,), true_N = case(300, [0.3])
    noise = np.full_like(good, 0.25)
    weights = convex_weights([noise, good, noise], true_N)
    assert weights[1] > 0.9
    assert weights.sum() == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 40),
    members=st.integers(1, 8),
    sharp=st.sampled_from([0.05, 0.3, 1.0, 5.0]),
    labels_only=st.booleans(),
)
def test_convex_reaches_its_bound_whatever_the_members(
    seed: int, rows: int, members: int, sharp: float, labels_only: bool
) -> None:
    rng = np.random.default_rng(seed)
    prob_MNJ = [rng.dirichlet(np.full(3, sharp), rows).astype(np.float32) for _ in range(members)]
    if labels_only:
        prob_MNJ = [np.eye(3, dtype=np.float32)[prob_NJ.argmax(axis=1)] for prob_NJ in prob_MNJ]
    true_N = rng.integers(3, size=rows)
    weights = convex_weights(prob_MNJ, true_N)
    true_MN = np.stack([np.maximum(p[np.arange(rows), true_N].astype(np.float64), 1e-7) for p in prob_MNJ])
    assert convex_gap(true_MN, weights) <= CONVEX_TOLERANCE
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)


def test_em_gets_there_too_and_says_so_when_it_cannot() -> None:
    members, true_N = case(300, [0.6, 0.9, 1.2, 2.0], seed=7)
    true_MN = np.stack([m[np.arange(300), true_N].astype(np.float64) for m in members])
    start = np.array([0.0, 0.0, 0.0, 1.0])
    found = weighting._em(true_MN, start)
    assert convex_gap(true_MN, found) <= CONVEX_TOLERANCE
    assert np.log(found @ true_MN).mean() == pytest.approx(
        np.log(convex_weights(members, true_N) @ true_MN).mean(), abs=2 * CONVEX_TOLERANCE
    )
    with pytest.raises(ResultError, match="did not settle"):
        weighting._em(true_MN, start, steps=3)


def test_em_takes_over_where_slsqp_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    members, true_N = case(300, [0.6, 2.0], seed=8)
    right = convex_weights(members, true_N)
    monkeypatch.setattr(weighting, "_slsqp", lambda true_MN: np.array([0.0, 1.0]))
    assert np.allclose(convex_weights(members, true_N), right, atol=0.05)


def test_the_gap_bounds_what_any_weights_could_gain() -> None:
    true_MN = np.array([[0.9, 0.2, 0.5], [0.1, 0.8, 0.5]])
    start = np.array([0.9, 0.1])
    losses = [-np.log(np.array([w, 1 - w]) @ true_MN).mean() for w in np.linspace(0, 1, 1001)]
    gained = -np.log(start @ true_MN).mean() - min(losses)
    assert 0 < gained <= convex_gap(true_MN, start)


# --- both


def contest_case(people: int, noise: list[float], seed: int = 0) -> tuple[list[Floats], dict[str, Ints], Ints]:
    """Seven rows a person; the last person's age is unknown."""
    members, joint_N = case(people * 7, noise, classes=18, seed=seed)
    truth = CONTEST.decode(joint_N)
    truth["age"][-7:] = -1
    return members, truth, np.repeat(np.arange(people) % 5, 7)


def test_weights_of_each_task_are_those_of_its_marginals() -> None:
    members, truth, _ = contest_case(30, [0.8, 1.2, 1.0])
    got = search_weights("convex-tasks", members, truth, CONTEST)
    assert isinstance(got, dict)
    assert list(got) == ["mask", "gender", "age"]
    for task, weights in got.items():
        marginals = [CONTEST.marginals(member)[task] for member in members]
        assert np.array_equal(weights, convex_weights(marginals, truth[task]))
    assert not np.allclose(got["mask"], got["age"])


@pytest.mark.parametrize("search", SEARCHES)
def test_a_folds_rows_do_not_choose_their_weights(search: Search) -> None:
    members, truth, fold_N = contest_case(30, [0.8, 1.2, 1.0])
    before = nested_weights(search, members, truth, fold_N, CONTEST)
    assert before.dtype == np.float32
    assert np.allclose(before.sum(axis=1), 1, atol=1e-5)
    own = fold_N == 2
    # Whatever the truth of fold 2 is, its own rows get the same; the others' weights change.
    rng = np.random.default_rng(0)
    other = {task: np.where(own, rng.permutation(label_N), label_N) for task, label_N in truth.items()}
    after = nested_weights(search, members, other, fold_N, CONTEST)
    assert np.array_equal(before[own], after[own])
    assert not np.array_equal(before[~own], after[~own])


def test_a_member_that_knows_one_fold_by_heart_does_not_flatter_the_honest_score() -> None:
    """The planted leak: useless, but perfect on fold 0. Searched on all rows it is chosen; nested, not for fold 0."""
    members, truth, fold_N = contest_case(40, [1.0, 1.0])
    truth["age"][-7:] = 0
    joint_N = CONTEST.encode(truth)
    leaky = np.where((fold_N == 0)[:, None], np.eye(18)[joint_N], 1 / 18).astype(np.float32)
    given_ = [*members, leaky]
    with_leak = search_weights("convex", given_, truth, CONTEST)
    without = nested_weights("convex", given_, truth, fold_N, CONTEST)[fold_N == 0]
    assert with_leak[2] > 0.2
    assert np.allclose(without, nested_weights("convex", members, truth, fold_N, CONTEST)[fold_N == 0], atol=0.02)


@pytest.mark.parametrize("search", [greedy_weights, convex_weights])
def test_what_cannot_be_searched(search: object) -> None:
    (a, b), true_N = case(10, [1.0, 1.0])
    for members, labels_N, what in (
        ([], true_N, "as many rows"),
        ([a, b[:5]], true_N, "as many rows"),
        ([a, b], true_N[:5], "as many rows"),
        ([a, b[:, :3]], true_N, "as many rows"),
        ([a, b], np.full(10, -1), "known truth"),
    ):
        with pytest.raises(ValueError, match=what):
            search(members, labels_N)  # type: ignore[operator]
    with pytest.raises(ValueError, match="rounds"):
        greedy_weights([a], true_N, rounds=0)


@pytest.mark.parametrize("search", [greedy_weights, convex_weights])
def test_one_member_gets_everything(search: object) -> None:
    (a,), true_N = case(10, [1.0])
    assert search([a], true_N).tolist() == [1.0]  # type: ignore[operator]
