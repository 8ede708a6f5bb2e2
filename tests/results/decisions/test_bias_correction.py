"""Bias-corrected temperatures: planted ones are found, means become shares, shares of shifted rows are right."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.labels import LabelSpace, Task
from maskcls.results.decisions.bias_correction import BiasCorrection, bias_corrected, fit_bias_correction
from maskcls.results.decisions.calibration import fit_temperature, scaled_rows
from maskcls.results.decisions.shift_rule import shifted_prior

PAIR = LabelSpace((Task("a", ("x", "y")), Task("b", ("u", "v", "w"))))
PRIOR = np.array([0.6, 0.3, 0.1])
BIAS, TEMPERATURE = np.array([0.8, -0.5, -0.3]), 1.7


def softmax(logits_NC: np.ndarray) -> np.ndarray:
    odds_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    return odds_NC / odds_NC.sum(axis=1, keepdims=True)


def planted(rows: int, share_C: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of a network that is too sure and biased by known numbers, trained with PRIOR; and their truth."""
    rng = np.random.default_rng(seed)
    true_N = rng.choice(3, rows, p=share_C)
    means = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    points = rng.normal(size=(rows, 2)) + means[true_N]
    calibrated = -0.5 * ((points[:, None] - means) ** 2).sum(axis=2) + np.log(PRIOR)
    return softmax((calibrated - BIAS) * TEMPERATURE), true_N


def test_planted_temperature_and_biases_are_found() -> None:
    found = fit_bias_correction(*planted(20_000, PRIOR, 0))
    assert found.temperature == pytest.approx(TEMPERATURE, rel=0.05)  # 20,000 rows
    np.testing.assert_allclose(found.bias, BIAS - BIAS.mean(), atol=0.08)


def test_the_mean_of_the_corrected_rows_is_the_share_of_each_class() -> None:
    prob_NC, true_N = planted(500, PRIOR, 1)
    found = fit_bias_correction(prob_NC, true_N)
    np.testing.assert_allclose(found.rows(prob_NC).mean(axis=0), np.bincount(true_N) / 500, atol=1e-5)
    assert sum(found.bias) == pytest.approx(0, abs=1e-12)
    alone = scaled_rows(prob_NC, fit_temperature(prob_NC, true_N)).mean(axis=0)
    assert np.abs(alone - np.bincount(true_N) / 500).max() > 0.05  # what a temperature alone leaves


def test_shares_of_shifted_rows_are_right_with_the_biases_and_wrong_with_a_temperature_alone() -> None:
    (old_NC, old_N), share_C = planted(5000, PRIOR, 2), np.array([0.2, 0.3, 0.5])
    new_NC, new_N = planted(5000, share_C, 3)
    correction = fit_bias_correction(old_NC, old_N)
    with_biases = shifted_prior(correction.rows(new_NC), PRIOR)
    alone = shifted_prior(scaled_rows(new_NC, fit_temperature(old_NC, old_N)), PRIOR)
    np.testing.assert_allclose(with_biases, share_C, atol=0.03)
    assert np.abs(alone - share_C).max() > 0.05
    rows = correction.rows(new_NC) * with_biases / PRIOR
    assert (rows.argmax(axis=1) == new_N).mean() > (new_NC.argmax(axis=1) == new_N).mean() + 0.02


def test_unknown_rows_are_left_out_and_a_class_without_rows_stays_bounded() -> None:
    prob_NC, true_N = planted(300, PRIOR, 4)
    hidden = np.where(true_N == 2, -1, true_N)
    kept = hidden >= 0
    assert fit_bias_correction(prob_NC, hidden) == fit_bias_correction(prob_NC[kept], hidden[kept])
    assert np.isfinite(fit_bias_correction(prob_NC, hidden).bias).all()
    with pytest.raises(ValueError, match="no row"):
        fit_bias_correction(prob_NC, np.full(300, -1))


def test_joint_rows_are_the_product_of_the_corrected_tasks() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet((1, 1), 40), rng.dirichlet((1, 1, 1), 40)
    corrections = {"a": BiasCorrection(2.0, (0.5, -0.5)), "b": BiasCorrection(0.7, (0.1, 0.4, -0.5))}
    found = bias_corrected(np.einsum("ni,nj->nij", a, b).reshape(40, 6), corrections, PAIR)
    changed = [softmax(np.log(p) / c.temperature + c.bias) for p, c in zip((a, b), corrections.values(), strict=True)]
    np.testing.assert_allclose(found, np.einsum("ni,nj->nij", *changed).reshape(40, 6), atol=1e-6)
    assert bias_corrected(found, {}, PAIR) is found
