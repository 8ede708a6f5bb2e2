"""Discriminant analysis: equal to scikit-learn's with the same shrinkage, and what balance does to the priors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from maskcls.nn.fitting.discriminant import fit_discriminant
from maskcls.nn.fitting.fitted_head import WideHead, log_softmax
from maskcls.nn.fitting.second_moments import class_moments, second_moments

ROWS, FEATURES, CLASSES = 60, 5, 3


def _rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    label_N = rng.choice(CLASSES, size=ROWS, p=[0.6, 0.3, 0.1])
    return rng.normal(size=(ROWS, FEATURES)) * [1, 2, 1, 3, 1] + 0.8 * label_N[:, None], label_N


def _fit(strength: float, balance: float = 0.0, weight_N: np.ndarray | None = None) -> WideHead:
    feature_ND, label_N = _rows()
    weight_N = np.ones(ROWS) if weight_N is None else weight_N
    by_class = class_moments(feature_ND, weight_N, label_N, CLASSES)
    return fit_discriminant(second_moments(feature_ND, weight_N), by_class, strength, balance=balance)


@pytest.mark.parametrize("strength", [0.05, 0.5, 1.0])
@pytest.mark.parametrize(("balance", "priors"), [(0.0, None), (1.0, [1 / 3] * 3)])
def test_probabilities_equal_those_of_scikit_learn(strength: float, balance: float, priors: list[float] | None) -> None:
    feature_ND, label_N = _rows()
    # Its covariance within classes weighs each class by its prior; with equal ones that is another matrix.
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=strength).fit(feature_ND, label_N)
    log_NC = model.predict_log_proba(feature_ND)
    if priors is not None:
        log_NC = log_softmax(log_NC - np.log(model.priors_))
    np.testing.assert_allclose(log_softmax(_fit(strength, balance).logits(feature_ND)), log_NC, atol=1e-9)


def test_half_of_the_balance_is_the_root_of_the_shares() -> None:
    label_N = _rows()[1]
    share_C = np.bincount(label_N) / ROWS
    difference_C = _fit(0.2, 0.5).bias_P - _fit(0.2, 0.0).bias_P
    np.testing.assert_allclose(difference_C, -0.5 * np.log(share_C), atol=1e-12)


def test_a_row_of_weight_2_is_two_rows() -> None:
    feature_ND, label_N = _rows()
    weight_N = np.ones(ROWS)
    weight_N[:7] = 2
    twice_ND, label_n = np.concatenate([feature_ND, feature_ND[:7]]), np.concatenate([label_N, label_N[:7]])
    ones = np.ones(len(label_n))
    expected = fit_discriminant(
        second_moments(twice_ND, ones), class_moments(twice_ND, ones, label_n, CLASSES), 0.2, balance=0
    )
    found = _fit(0.2, weight_N=weight_N)
    np.testing.assert_allclose(found.weight_PD, expected.weight_PD, atol=1e-12)
    np.testing.assert_allclose(found.bias_P, expected.bias_P, atol=1e-12)


def test_classes_of_one_point_each_have_their_priors_alone() -> None:
    feature_ND, label_N, weight_N = np.array([[1.0, 2.0], [3.0, 1.0], [3.0, 1.0]]), np.array([0, 2, 2]), np.ones(3)
    by_class = class_moments(feature_ND, weight_N, label_N, CLASSES)
    head = fit_discriminant(second_moments(feature_ND, weight_N), by_class, 0.5, balance=0)
    assert head.present_P.tolist() == [0, 2]
    assert not head.weight_PD.any()
    np.testing.assert_allclose(head.bias_P, np.log([1 / 3, 2 / 3]))
