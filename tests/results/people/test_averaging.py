"""Averaging predictions within groups: by hand, by properties, and the fitted weights against a numerical gradient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from maskcls.errors import DataError
from maskcls.labels import CONTEST, Floats, Ints, LabelSpace
from maskcls.results.people.averaging import average_groups, fit_photo_weights
from maskcls.results.predictions import Predictions

SHARED = ("gender", "age")


def random_rows(rows: int, seed: int = 0, space: LabelSpace = CONTEST) -> Predictions:
    prob_NJ = np.random.default_rng(seed).dirichlet(np.full(space.size, 0.3), rows).astype(np.float32)
    return Predictions([f"i{row}" for row in range(rows)], prob_NJ, space)


def test_a_group_answers_with_the_mean_by_hand() -> None:
    parts = {
        "mask": np.array([[0.8, 0.1, 0.1], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]], dtype=np.float32),
        "gender": np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], dtype=np.float32),
        "age": np.array([[0.5, 0.5, 0.0], [0.1, 0.1, 0.8], [0.0, 0.0, 1.0]], dtype=np.float32),
    }
    before = Predictions(["a", "b", "c"], CONTEST.compose(parts), CONTEST)
    after = average_groups(before, np.array([4, 4, 0]), SHARED)
    found = CONTEST.marginals(after.prob)
    np.testing.assert_allclose(found["mask"], parts["mask"], atol=1e-6)
    np.testing.assert_allclose(found["gender"][:2], [[0.65, 0.35]] * 2, atol=1e-6)
    np.testing.assert_allclose(found["age"][:2], [[0.3, 0.3, 0.4]] * 2, atol=1e-6)
    np.testing.assert_array_equal(after.prob[2], before.prob[2])
    # Gender and age stay dependent: the mean of the products, not the product of the means.
    assert after.prob[0].reshape(3, 2, 3)[:, 0, 0].sum() == pytest.approx((0.9 * 0.5 + 0.4 * 0.1) / 2, abs=1e-6)
    assert after.lineage == {"smoothed": {}, "tasks": list(SHARED), "groups": 2, "weights": None}
    weighted = average_groups(before, np.array([4, 4, 0]), SHARED, weights={"wear": 1, "incorrect": 2, "normal": 5})
    says = (0.8 * 1 + 0.1 * 2 + 0.1 * 5, 0.2 * 1 + 0.2 * 2 + 0.6 * 5)
    male = (says[0] * 0.9 + says[1] * 0.4) / sum(says)
    np.testing.assert_allclose(CONTEST.marginals(weighted.prob)["gender"][:2, 0], male, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    group=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    task=st.sampled_from(CONTEST.names),
)
def test_smoothing_keeps_rows_other_marginals_and_singletons(seed: int, group: list[int], task: str) -> None:
    before, group_N = random_rows(6, seed), np.array(group)
    shared = tuple(name for name in CONTEST.names if name != task)
    after = average_groups(before, group_N, shared)
    np.testing.assert_allclose(after.prob.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(CONTEST.marginals(after.prob)[task], CONTEST.marginals(before.prob)[task], atol=1e-5)
    for g in set(group):
        rows = np.flatnonzero(group_N == g)
        if len(rows) == 1:
            np.testing.assert_array_equal(after.prob[rows], before.prob[rows])
        for name in shared:
            mean = CONTEST.marginals(before.prob)[name][rows].mean(axis=0)
            np.testing.assert_allclose(CONTEST.marginals(after.prob)[name][rows], [mean] * len(rows), atol=1e-5)
    order = np.random.default_rng(seed).permutation(6)
    moved = average_groups(before.align(before.ids[order]), group_N[order], shared)
    np.testing.assert_allclose(moved.prob, after.prob[order], atol=1e-6)


def test_rows_that_are_sure_stay_finite() -> None:
    before = Predictions(["a", "b", "c"], np.eye(18, dtype=np.float32)[[0, 17, 9]], CONTEST)
    after = average_groups(before, np.zeros(3, dtype=np.int64), SHARED)
    assert CONTEST.decode(after.labels())["mask"].tolist() == [0, 2, 1]
    np.testing.assert_allclose(CONTEST.marginals(after.prob)["gender"], [[1 / 3, 2 / 3]] * 3, atol=1e-5)


def test_all_tasks_can_be_shared() -> None:
    before = random_rows(4)
    after = average_groups(before, np.array([0, 0, 0, 0]), CONTEST.names)
    np.testing.assert_allclose(after.prob, [before.prob.mean(axis=0)] * 4, atol=1e-6)


def test_wrong_arguments_are_refused() -> None:
    before = random_rows(3)
    with pytest.raises(ValueError, match="3 whole numbers"):
        average_groups(before, np.array([0, 1]), SHARED)
    with pytest.raises(ValueError, match="shared tasks"):
        average_groups(before, np.zeros(3, np.int64), ("race",))
    with pytest.raises(DataError, match="other classes"):
        average_groups(before, np.zeros(3, np.int64), SHARED, weights={"wear": 1.0, "bare": 2.0})


def clear_and_dim(people: int, seed: int = 0) -> tuple[Predictions, dict[str, Ints], Ints]:
    """Return rows of people with 4 photos, which show gender and age better without a mask than with one."""
    rng = np.random.default_rng(seed)
    who_N = np.repeat(np.arange(people), 4)
    truth = {"mask": np.tile([0, 0, 1, 2], people), "gender": who_N % 2, "age": who_N // 2 % 3}
    right_N = np.tile([0.55, 0.55, 0.65, 0.8], people)
    parts = {"mask": np.eye(3)[truth["mask"]] * 0.94 + 0.02}
    for name, classes in (("gender", 2), ("age", 3)):
        shown_N = np.where(rng.random(len(who_N)) < right_N, truth[name], rng.integers(classes, size=len(who_N)))
        parts[name] = np.eye(classes)[shown_N] * 0.9 + 0.1 / classes
    prob_NJ = CONTEST.compose({name: part.astype(np.float32) for name, part in parts.items()})
    return Predictions([f"i{n}" for n in range(len(who_N))], prob_NJ, CONTEST), truth, who_N


def log_loss(predictions: Predictions, truth: dict[str, Ints]) -> float:
    shared = CONTEST.only(SHARED)
    rows = predictions.prob.reshape(-1, 3, 6).sum(axis=1)
    return float(-np.log(rows[np.arange(len(rows)), shared.encode({n: truth[n] for n in SHARED})]).mean())


def test_photos_that_show_more_get_more_weight_and_no_other_weights_are_better() -> None:
    before, truth, who_N = clear_and_dim(150)
    weights = fit_photo_weights(before.prob, truth, who_N, CONTEST, SHARED)
    assert weights["wear"] == 1
    assert 1.5 < weights["normal"] < 20
    best = log_loss(average_groups(before, who_N, SHARED, weights=weights), truth)
    assert best < log_loss(average_groups(before, who_N, SHARED), truth) < log_loss(before, truth)

    def loss(log_weights: Floats) -> float:
        say = dict(zip(("wear", "incorrect", "normal"), np.exp([0, *log_weights]).tolist(), strict=True))
        return log_loss(average_groups(before, who_N, SHARED, weights=say), truth)

    at = np.log([weights["incorrect"], weights["normal"]])
    slope = approx_fprime(at, loss, 0.01)
    assert np.abs(slope).max() < 2e-3  # half the step times a curvature below 0.4; a slope elsewhere is 0.02 or more


def test_unknown_rows_do_not_teach_but_are_averaged() -> None:
    before, truth, who_N = clear_and_dim(50)
    some = {name: label_N.copy() for name, label_N in truth.items()}
    some["age"][::4] = -1
    rows = np.arange(len(who_N)) % 4 != 0
    assert fit_photo_weights(before.prob, some, who_N, CONTEST, SHARED) != fit_photo_weights(
        before.prob[rows], {n: v[rows] for n, v in truth.items()}, who_N[rows], CONTEST, SHARED
    )
    nobody = {name: np.full(200, -1) for name in truth}
    assert set(fit_photo_weights(before.prob, nobody, who_N, CONTEST, SHARED).values()) == {1.0}
