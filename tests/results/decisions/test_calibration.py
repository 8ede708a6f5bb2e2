"""Temperatures and calibration error: planted temperatures, scikit-learn's scores and curves, tables by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from maskcls.labels import CONTEST, Ints, LabelSpace, Task
from maskcls.results.decisions.calibration import (
    fit_temperature,
    fit_temperatures,
    qualities,
    quality,
    reliability,
    scaled,
    scaled_rows,
)

Doubles = NDArray[np.float64]
PAIR = LabelSpace((Task("a", ("0", "1")), Task("b", ("0", "1"))))


def softmax(logits: Doubles) -> Doubles:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def drawn(prob_NC: Doubles, rng: np.random.Generator) -> Ints:
    """Labels that the rows are the true probabilities of."""
    return (prob_NC.cumsum(axis=1) < rng.random((len(prob_NC), 1))).sum(axis=1).clip(0, prob_NC.shape[1] - 1)


def case(rows: int, classes: int, seed: int, sharpness: float = 1.0) -> tuple[Doubles, Ints]:
    """Rows whose odds are the true ones to the power `sharpness`."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(rows, classes))
    return softmax(sharpness * logits), drawn(softmax(logits), rng)


def dependent(rows: int, seed: int) -> Doubles:
    """Joint rows in which the tasks depend on each other."""
    return softmax(2 * np.random.default_rng(seed).normal(size=(rows, CONTEST.size)))


# --- the temperature


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.0, 4.0])
def test_a_planted_temperature_is_found(planted: float) -> None:
    prob_NC, true_N = case(20_000, 3, seed=1, sharpness=planted)
    # its standard error is some 1.2 % of it: the mean loss of 20,000 rows knows 1/T to about 0.01
    assert fit_temperature(prob_NC, true_N) == pytest.approx(planted, rel=0.05)


def test_no_temperature_has_a_lower_log_loss_by_scikit_learn() -> None:
    for seed in range(2):
        prob_NC, true_N = case(300, 4, seed, sharpness=1.7)
        best = log_loss(true_N, scaled_rows(prob_NC, fit_temperature(prob_NC, true_N)))
        others = [log_loss(true_N, scaled_rows(prob_NC, t)) for t in np.geomspace(0.06, 19, 100)]
        assert best <= min(others) + 1e-9
        assert best < others[0] - 0.1


def test_a_few_hopeless_rows_do_not_soften_all_the_others() -> None:
    prob_NC, true_N = case(2000, 3, seed=0)
    hopeless = np.tile([[1.0, 0.0, 0.0]], (5, 1))
    with_them = fit_temperature(np.vstack([prob_NC, hopeless]), np.append(true_N, [1] * 5))
    assert with_them == pytest.approx(fit_temperature(prob_NC, true_N), rel=0.02)  # 1.5 times without the ceiling


def test_the_temperature_stays_in_its_bounds() -> None:
    sure = np.array([[0.6, 0.4], [0.4, 0.6]])
    assert fit_temperature(sure, np.array([0, 1])) == pytest.approx(0.05, rel=0.05)
    assert fit_temperature(sure, np.array([1, 0])) == pytest.approx(20, rel=0.05)


def test_rows_of_unknown_truth_do_not_count() -> None:
    prob_NC, true_N = case(500, 3, seed=3, sharpness=2)
    more, none = np.vstack([prob_NC, prob_NC[::-1]]), np.full(500, -1)
    assert fit_temperature(more, np.append(true_N, none)) == fit_temperature(prob_NC, true_N)
    assert quality(more, np.append(true_N, none)).to_json() == quality(prob_NC, true_N).to_json()
    with pytest.raises(ValueError, match="no row"):
        fit_temperature(prob_NC, none)


def test_every_task_has_its_own_temperature() -> None:
    parts = {name: case(8000, c, seed=c + i, sharpness=s) for i, (name, c, s) in enumerate(TASKS)}
    joint = CONTEST.compose({name: prob.astype(np.float32) for name, (prob, _) in parts.items()})
    found = fit_temperatures(joint, {name: true for name, (_, true) in parts.items()}, CONTEST)
    assert list(found) == ["mask", "gender", "age"]
    for name, _, planted in TASKS:
        assert found[name] == pytest.approx(planted, rel=0.1)


TASKS = [("mask", 3, 3.0), ("gender", 2, 1.0), ("age", 3, 0.5)]


# --- scaled joint rows


def test_independent_tasks_are_scaled_by_themselves() -> None:
    parts = {name: case(50, c, seed=i)[0].astype(np.float32) for i, (name, c, _) in enumerate(TASKS)}
    temperatures = {"mask": 2.0, "gender": 0.5, "age": 1.3}
    expected = CONTEST.compose({n: (p ** (1 / temperatures[n])).astype(np.float32) for n, p in parts.items()})
    got = scaled(CONTEST.compose(parts), temperatures, CONTEST)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-6)  # float32 in, float32 out
    assert (got.argmax(axis=1) == CONTEST.compose(parts).argmax(axis=1)).all()


@given(st.integers(0, 10_000), *[st.floats(0.3, 5)] * 3)
def test_dependent_tasks_get_their_marginals_and_keep_their_dependence(
    seed: int, mask: float, gender: float, age: float
) -> None:
    prob_NJ = dependent(3, seed)
    temperatures = {"mask": mask, "gender": gender, "age": age}
    got = scaled(prob_NJ, temperatures, CONTEST)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)
    before, after = CONTEST.marginals(prob_NJ.astype(np.float32)), CONTEST.marginals(got)
    for name in CONTEST.names:
        np.testing.assert_allclose(after[name], scaled_rows(before[name], temperatures[name]), atol=1e-5)
    # the odds ratio of gender and age within a mask: p(0,0) p(1,1) / p(0,1) p(1,0)
    old, new = prob_NJ.reshape(-1, 3, 2, 3), got.astype(np.float64).reshape(-1, 3, 2, 3)
    ratios = [g[:, :, 0, 0] * g[:, :, 1, 1] / (g[:, :, 0, 1] * g[:, :, 1, 0]) for g in (old, new)]
    np.testing.assert_allclose(ratios[1], ratios[0], rtol=1e-3)


def test_tasks_that_always_go_together_are_not_softened_twice() -> None:
    joint = np.array([[0.9, 0.0, 0.0, 0.1]], dtype=np.float32)
    got = scaled(joint, {"a": 2.0, "b": 2.0}, PAIR)
    np.testing.assert_allclose(got, [[0.75, 0, 0, 0.25]], atol=1e-6)  # odds of 9 become odds of 3


def test_a_temperature_of_1_changes_nothing() -> None:
    prob_NJ = dependent(20, 0).astype(np.float32)
    np.testing.assert_allclose(scaled(prob_NJ, dict.fromkeys(CONTEST.names, 1.0), CONTEST), prob_NJ, atol=2e-7)


def test_rows_of_zeros_and_ones_stay_finite() -> None:
    sure = np.eye(CONTEST.size, dtype=np.float32)
    for temperature in (0.05, 1.0, 20.0):
        got = scaled(sure, dict.fromkeys(CONTEST.names, temperature), CONTEST)
        assert np.isfinite(got).all()
        assert (got.argmax(axis=1) == np.arange(CONTEST.size)).all()


# --- quality


def test_scores_equal_scikit_learn() -> None:
    prob_NC, true_N = case(400, 5, seed=2, sharpness=3)
    prob_NC = prob_NC.astype(np.float32)
    prob_NC[0], true_N[0] = np.eye(5, dtype=np.float32)[1], 0  # impossible, and true
    got = quality(prob_NC, true_N)
    assert got.log_loss == pytest.approx(log_loss(true_N, prob_NC), rel=1e-5)  # it sums in float32
    assert got.brier == pytest.approx(brier_score_loss(true_N, prob_NC, scale_by_half=False), rel=1e-5)
    assert got.rows == 400


@pytest.mark.parametrize(("by", "strategy"), [("width", "uniform"), ("mass", "quantile")])
def test_bins_equal_scikit_learns_curve(by: str, strategy: str) -> None:
    rng = np.random.default_rng(0)
    confidence_N = rng.beta(4, 1, size=500).round(2)  # many on the edges
    correct_N = rng.random(500) < confidence_N
    accuracy, confidence = calibration_curve(correct_N, confidence_N, n_bins=10, strategy=strategy)
    table = reliability(confidence_N, correct_N, bins=10, by=by)  # type: ignore[arg-type]
    filled = [one for one in table if one.rows]
    np.testing.assert_allclose([one.accuracy for one in filled], accuracy)
    np.testing.assert_allclose([one.confidence for one in filled], confidence)
    assert (len(table), sum(one.rows for one in table)) == (10, 500)
    assert len(filled) >= 7


def test_the_calibration_error_by_hand() -> None:
    # confidences 0.9 0.9 0.6 0.6, right: yes no yes no; (0.5, 0.75] |1/2 - 0.6|, (0.75, 1] |1/2 - 0.9|
    prob_NC = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    got = quality(prob_NC, np.array([0, 1, 1, 0]), bins=4)
    assert got.ece == pytest.approx((0.1 + 0.4) / 2)
    assert [one.rows for one in got.bins] == [0, 0, 2, 2]
    assert (got.bins[2].low, got.bins[2].high) == (0.5, 0.75)
    assert math.isnan(got.bins[0].accuracy)
    assert quality(prob_NC, np.array([0, 1, 1, 0]), bins=1).ece == pytest.approx(abs(0.5 - 0.75))
    assert quality(prob_NC, np.array([0, 1, 1, 0]), bins=2, by="mass").ece == pytest.approx(0.25)


def test_planted_overconfidence_shows_and_goes() -> None:
    prob_NC, true_N = case(20_000, 3, seed=5, sharpness=2)
    before = quality(prob_NC, true_N)
    after = quality(scaled_rows(prob_NC, fit_temperature(prob_NC, true_N)), true_N)
    assert before.ece > 0.05
    assert after.ece < 0.02  # 15 bins of some thousand rows each still differ by about half a percent
    assert after.log_loss < before.log_loss
    assert after.brier < before.brier


def test_tasks_are_scored_by_their_marginals_where_they_are_known() -> None:
    prob_NJ = dependent(60, 1).astype(np.float32)
    truth = {
        name: np.random.default_rng(0).integers(len(CONTEST.task(name).classes), size=60) for name in CONTEST.names
    }
    truth["age"][:50] = -1
    got = qualities(prob_NJ, truth, CONTEST, bins=7)
    assert got.joint.rows == got.tasks["age"].rows == 10
    assert len(got.joint.bins) == len(got.tasks["age"].bins) == 7
    assert got.joint.to_json() == quality(prob_NJ[50:], CONTEST.encode(truth)[50:], bins=7).to_json()
    by_hand = prob_NJ.reshape(-1, 3, 2, 3).sum(axis=(1, 3))
    assert got.tasks["gender"].log_loss == pytest.approx(log_loss(truth["gender"], by_hand), rel=1e-5)


def test_no_known_row_is_null_in_the_file() -> None:
    got = quality(np.array([[0.5, 0.5]]), np.array([-1]), bins=2).to_json()
    assert (got["log_loss"], got["brier"], got["ece"], got["rows"]) == (None, None, None, 0)
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    assert got["bins"][0] == {"low": 0.0, "high": 0.5, "rows": 0, "confidence": None, "accuracy": None}


def test_nonsense_is_refused() -> None:
    rows = np.array([[0.5, 0.5]])
    with pytest.raises(ValueError, match="fit together"):
        quality(rows, np.array([0, 1]))
    with pytest.raises(ValueError, match="must lie"):
        quality(rows, np.array([2]))
    with pytest.raises(ValueError, match="at least one bin"):
        quality(rows, np.array([0]), bins=0)
