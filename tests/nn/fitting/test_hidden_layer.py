"""A head with a hidden layer: its gradient by finite differences, its loss beside scikit-learn's, what it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neural_network import MLPClassifier

from maskcls.nn.fitting.fitted_head import log_softmax
from maskcls.nn.fitting.hidden_layer import BATCH, HiddenHead, fit_hidden, penalised_loss
from maskcls.nn.fitting.logistic import curved, fit_logistic
from maskcls.nn.heads import Head, build_head


def drawn(rows: int, features: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features of mean 0 and deviation 1, labels they say something of, and weights."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(0, classes, rows)
    feature_ND = rng.normal(size=(rows, features))
    feature_ND[:, 0] += label_N
    feature_ND = (feature_ND - feature_ND.mean(axis=0)) / feature_ND.std(axis=0)
    return feature_ND.astype(np.float32), label_N, rng.uniform(0.5, 2, rows)


def corners(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features around four corners, and whether the signs of the two coordinates differ."""
    rng = np.random.default_rng(seed)
    sign_N2 = rng.choice([-1.0, 1.0], size=(rows, 2))
    feature_N2 = sign_N2 + rng.normal(scale=0.2, size=(rows, 2))
    return feature_N2.astype(np.float32), (sign_N2[:, 0] != sign_N2[:, 1]).astype(np.int64)


def right(head: HiddenHead, feature_ND: np.ndarray, label_N: np.ndarray) -> float:
    return float((head.logits(feature_ND.astype(np.float64)).argmax(axis=1) == label_N).mean())


def test_the_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(3)
    feature_ND, label_N, weight_N = drawn(30, 4, 3)
    layers = tuple(rng.normal(size=shape) for shape in ((4, 5), (5,), (5, 3), (3,)))
    wide_ND, step = feature_ND.astype(np.float64), 1e-6

    def loss() -> float:
        return penalised_loss(layers, wide_ND, label_N, weight_N, 0.3)[0]

    slopes = penalised_loss(layers, wide_ND, label_N, weight_N, 0.3)[1]
    for layer, slope in zip(layers, slopes, strict=True):
        for place in np.ndindex(layer.shape):
            here = layer[place]
            layer[place] = here + step
            above = loss()
            layer[place] = here - step
            below = loss()
            layer[place] = here
            assert slope[place] == pytest.approx((above - below) / (2 * step), abs=1e-7)


def test_the_loss_by_hand() -> None:
    """One row: hidden max(2 - 1, 0) = 1, logits 0 and ln 3, so class 0 costs ln 4; squares 4 + ln²3."""
    layers = np.array([[2.0]]), np.array([-1.0]), np.array([[0.0, np.log(3)]]), np.zeros(2)
    value, _ = penalised_loss(layers, np.array([[1.0]]), np.array([0]), np.array([2.0]), 0.1)
    assert value == pytest.approx(2 * np.log(4) + 0.05 * (4 + np.log(3) ** 2))


@pytest.mark.parametrize("strength", [0.1, 0.03])
def test_the_loss_is_as_low_as_that_of_scikit_learn(strength: float) -> None:
    feature_ND, label_N, _ = drawn(400, 10, 3)
    head = fit_hidden(feature_ND, label_N, np.ones(400), strength, width=16, seed=0)
    other = MLPClassifier((16,), alpha=strength * 400, solver="lbfgs", max_iter=5000, tol=1e-9, random_state=0)
    other.fit(feature_ND.astype(np.float64), label_N)
    theirs = (other.coefs_[0], other.intercepts_[0], other.coefs_[1], other.intercepts_[1])
    mine = (head.weight_DH, head.bias_H, head.weight_HP, head.bias_P)
    rows = (feature_ND.astype(np.float64), label_N, np.ones(400), strength)
    found, expected = (penalised_loss(layers, *rows)[0] for layers in (mine, theirs))
    assert expected < 1.05  # of ln 3 = 1.099 without features
    assert found == pytest.approx(expected, rel=0.01)


def test_it_learns_what_no_linear_head_can() -> None:
    feature_N2, label_N = corners(400, 0)
    fresh_N2, expected_N = corners(400, 1)
    linear = fit_logistic(curved(feature_N2.astype(np.float64), 1e-3), label_N, np.full(400, 1 / 400), 1e-3)
    assert (linear.logits(fresh_N2.astype(np.float64)).argmax(axis=1) == expected_N).mean() < 0.8
    head = fit_hidden(feature_N2, label_N, np.ones(400), 1e-3, width=16, seed=0)
    assert right(head, fresh_N2, expected_N) > 0.98


@pytest.mark.parametrize("rows", [5, BATCH, 2 * BATCH + 7])
def test_the_same_bits_twice_and_others_of_another_seed(rows: int) -> None:
    feature_ND, label_N, weight_N = drawn(rows, 6, 3)
    heads = [fit_hidden(feature_ND, label_N, weight_N, 0.01, width=4, seed=seed) for seed in (0, 0, 1)]
    assert np.array_equal(heads[0].weight_DH, heads[1].weight_DH)
    assert np.array_equal(heads[0].bias_P, heads[1].bias_P)
    assert not np.array_equal(heads[0].weight_DH, heads[2].weight_DH)
    assert heads[0].weight_DH.dtype == heads[0].bias_P.dtype == np.float32


def test_only_ratios_of_weights_count() -> None:
    feature_ND, label_N, weight_N = drawn(100, 6, 3)
    one, other, equal = (fit_hidden(feature_ND, label_N, w, 0.01, width=4, seed=0) for w in _weights(weight_N))
    assert np.array_equal(one.weight_DH, other.weight_DH)
    assert not np.array_equal(one.weight_DH, equal.weight_DH)


def _weights(weight_N: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return weight_N, 4 * weight_N, np.ones(len(weight_N))


def test_a_large_strength_leaves_the_shares_of_the_classes() -> None:
    """Of weights 1 and 3, with as many rows of each class: 1 / 4 and 3 / 4."""
    feature_ND, _, _ = drawn(200, 3, 2)
    label_N = np.arange(200) % 2
    head = fit_hidden(feature_ND, label_N, np.where(label_N == 1, 3.0, 1.0), 100.0, width=4, seed=0)
    prob_NP = np.exp(log_softmax(head.logits(feature_ND.astype(np.float64))))
    np.testing.assert_allclose(prob_NP, np.tile([0.25, 0.75], (200, 1)), atol=0.01)


def test_a_stronger_penalty_gives_smaller_weights() -> None:
    feature_ND, label_N, weight_N = drawn(300, 8, 3)
    norms = [
        np.linalg.norm(fit_hidden(feature_ND, label_N, weight_N, strength, width=8, seed=0).weight_DH)
        for strength in (0.3, 0.03, 0.003)
    ]
    assert norms[0] < norms[1] < norms[2]


def test_for_raw_features_it_is_the_same_head_in_torch() -> None:
    """Also with a feature that does not vary, and a class without rows."""
    feature_ND, label_N, weight_N = drawn(120, 5, 2)
    feature_ND[:, 4] = 0
    label_N = np.where(label_N == 1, 2, 0)
    head = fit_hidden(feature_ND, label_N, weight_N, 0.01, width=6, seed=0).scaled(1.5)
    assert head.present_P.tolist() == [0, 2]
    mean_D, deviation_D = np.array([3.0, -2.0, 0.5, 100.0, 7.0]), np.array([2.0, 0.1, 1.0, 5.0, np.inf])
    raw_ND = (feature_ND * np.where(np.isfinite(deviation_D), deviation_D, 0) + mean_D).astype(np.float32)
    layer = build_head(Head("one", 3, hidden=6), 5)
    tensors = head.for_raw(mean_D, deviation_D, 3).tensors
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())
    layer.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    with torch.no_grad():
        logit_NC = layer(torch.from_numpy(raw_ND)).double().numpy()
    np.testing.assert_allclose(logit_NC[:, [0, 2]], head.logits(feature_ND.astype(np.float64)), atol=1e-4)
    assert np.exp(log_softmax(logit_NC))[:, 1].max() < 1e-9


def test_one_class_alone_and_one_huge_value_are_no_trouble() -> None:
    feature_ND, label_N, weight_N = drawn(50, 3, 2)
    alone = fit_hidden(feature_ND, np.zeros(50, np.int64), weight_N, 0.1, width=4, seed=0)
    assert alone.logits(feature_ND.astype(np.float64)).shape == (50, 1)
    feature_ND[0, 0] = 1e4
    huge = fit_hidden(feature_ND, label_N, weight_N, 0.01, width=4, seed=0)
    assert np.isfinite(huge.weight_DH).all()
    assert right(huge, feature_ND[1:], label_N[1:]) > 0.6
