"""The choice of a strength and a scale: by a plain loop over parts of scikit-learn's fits, on rows left out alone."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import log_loss as sklearn_loss

from maskcls.nn.fitting.fitted_head import Wide, WideHead
from maskcls.nn.fitting.head_rows import ALWAYS, HeadRows
from maskcls.nn.fitting.solvers import discriminant_solver, logistic_solver, ridge_solver
from maskcls.nn.fitting.strength_choice import choose_head

ROWS, FEATURES, CLASSES = 90, 8, 3
STRENGTHS = (0.9, 0.3, 0.02)


def _rows(seed: int = 1) -> HeadRows:
    rng = np.random.default_rng(seed)
    label_N = np.arange(ROWS) % CLASSES
    feature_ND = rng.normal(size=(ROWS, FEATURES))
    feature_ND[:, 0] += label_N
    part_N = np.arange(ROWS) // (ROWS // 3)
    return HeadRows(feature_ND, label_N, np.ones(ROWS), np.ones(ROWS), part_N, np.arange(ROWS), CLASSES)


def _left_out(rows: HeadRows, strength: float) -> Wide:
    """Return the scores (N, C) of each row by a fit on the other parts."""
    score_NC = np.zeros((ROWS, CLASSES))
    for part in range(3):
        out = rows.part_N == part
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=strength)
        score_NC[out] = model.fit(rows.feature_ND[~out], rows.label_N[~out]).decision_function(rows.feature_ND[out])
    return score_NC


def _loss(rows: HeadRows, score_NC: Wide, scale: float) -> float:
    log_NC = scale * score_NC
    prob_NC = np.exp(log_NC) / np.exp(log_NC).sum(axis=1, keepdims=True)
    return float(sklearn_loss(rows.label_N, prob_NC, labels=range(CLASSES)))


def test_the_strength_and_the_scale_are_those_of_a_plain_loop() -> None:
    rows = _rows()
    found = choose_head(rows, discriminant_solver(rows, {}, balance=0), STRENGTHS, scaled=True)
    scores = {one: _left_out(rows, one) for one in STRENGTHS}
    grid = {(one, scale): _loss(rows, scores[one], scale) for one in STRENGTHS for scale in np.geomspace(0.05, 5, 200)}
    strength, scale = min(grid, key=lambda key: grid[key])
    assert found.strength == strength
    assert found.scale == pytest.approx(scale, rel=0.03)  # the grid's step
    assert found.loss == pytest.approx(_loss(rows, scores[found.strength], found.scale), abs=1e-9)
    assert found.loss <= grid[strength, scale] + 1e-12
    alone = discriminant_solver(rows, {}, balance=0)([0, 1, 2], strength)
    np.testing.assert_allclose(found.head.weight_PD, found.scale * alone.weight_PD, rtol=1e-12)


def test_other_rows_have_another_best_strength() -> None:
    chosen = {choose_head(rows, ridge_solver(rows, {}), (1e3, 0.1), scaled=False).strength for rows in map(_rows, (1,))}
    noise = replace(_rows(), feature_ND=np.random.default_rng(9).normal(size=(ROWS, FEATURES)))
    strong = choose_head(noise, logistic_solver(noise, 1.0), (100.0, 1e-4), scaled=False).strength
    weak = choose_head(_rows(), logistic_solver(_rows(), 1.0), (100.0, 1e-2), scaled=False).strength
    assert (chosen, strong, weak) == ({0.1}, 100.0, 1e-2)


def test_rows_of_every_fit_are_never_left_out() -> None:
    rows = _rows()
    part_N = rows.part_N.copy()
    part_N[:30] = ALWAYS
    asked: list[list[int]] = []

    def solve(parts: object, strength: float) -> WideHead:
        asked.append(sorted(parts))  # type: ignore[call-overload]
        return WideHead(np.arange(CLASSES), np.zeros((CLASSES, FEATURES)), np.zeros(CLASSES))

    found = choose_head(replace(rows, part_N=part_N), solve, (2.0, 1.0), scaled=False)
    assert asked == [[ALWAYS, 2], [ALWAYS, 1]] * 2 + [[ALWAYS, 1, 2]]
    assert (found.strength, found.loss) == (2.0, pytest.approx(math.log(3)))  # equal: the strongest


def test_the_loss_weighs_rows_as_told() -> None:
    rows = _rows()

    def solve(parts: object, strength: float) -> WideHead:
        bias_P = np.array([1.0, 0.0, 0.0]) if strength == 1 else np.zeros(3)
        return WideHead(np.arange(CLASSES), np.zeros((CLASSES, FEATURES)), bias_P)

    weights = {one: np.where(rows.label_N == 0, one, 1.0) for one in (0.1, 10.0)}
    chosen = {
        one: choose_head(replace(rows, choice_weight_N=choice_weight_N), solve, (1.0, 2.0), scaled=False).strength
        for one, choice_weight_N in weights.items()
    }
    assert chosen == {0.1: 2.0, 10.0: 1.0}


def test_a_class_of_one_part_is_passed_over_where_it_is_left_out() -> None:
    rows = _rows()
    rows = replace(rows, label_N=np.where(rows.part_N == 0, rows.label_N, np.minimum(rows.label_N, 1)))
    found = choose_head(rows, discriminant_solver(rows, {}, balance=0), (0.5,), scaled=True)
    assert math.isfinite(found.loss)
    assert found.head.present_P.tolist() == [0, 1, 2]


def test_one_part_alone_gives_the_middle_strength() -> None:
    rows = replace(_rows(), part_N=np.zeros(ROWS, np.int64))
    found = choose_head(rows, ridge_solver(rows, {}), (3.0, 2.0, 1.0), scaled=True)
    assert (found.strength, found.scale) == (2.0, 1.0)
    assert math.isnan(found.loss)


def test_heads_of_the_same_rows_share_their_sums_and_others_do_not() -> None:
    rows, grams = _rows(), {}
    other = replace(rows, label_N=(rows.label_N + 1) % CLASSES)
    fewer = replace(
        rows,
        feature_ND=rows.feature_ND[:45],
        label_N=rows.label_N[:45],
        weight_N=rows.weight_N[:45],
        choice_weight_N=rows.choice_weight_N[:45],
        part_N=rows.part_N[:45],
        row_N=rows.row_N[:45],
    )
    for one in (rows, other, fewer):
        np.testing.assert_array_equal(
            ridge_solver(one, grams)([0, 1], 0.1).weight_PD, ridge_solver(one, {})([0, 1], 0.1).weight_PD
        )
    assert len(grams) == 2
