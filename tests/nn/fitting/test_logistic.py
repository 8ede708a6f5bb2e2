"""Linear heads: equal to scikit-learn's, a gradient of 0, the scale of the raw features, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from maskcls.errors import DataError
from maskcls.labels import LabelSpace, Task
from maskcls.nn.fitting.fitted_head import FittedHead, head_probabilities
from maskcls.nn.fitting.head_rows import balanced_weights
from maskcls.nn.fitting.logistic import fit_heads

SPACE = LabelSpace((Task("colour", ("red", "green", "blue")), Task("big", ("no", "yes"))))
ROWS, FEATURES, STRENGTH = 90, 6, 0.02


def _rows(seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Return features of unequal scale that say something of the labels, the labels, and unequal weights."""
    rng = np.random.default_rng(seed)
    labels = {"colour": rng.integers(3, size=ROWS), "big": rng.integers(2, size=ROWS)}
    feature_ND = rng.normal(size=(ROWS, FEATURES))
    feature_ND[:, 0] += labels["colour"]
    feature_ND[:, 1] += 1.5 * labels["big"]
    scaled_ND = feature_ND * np.array([1, 10, 0.1, 3, 1, 1]) + np.array([0, 50, 0, -7, 0, 0])
    return scaled_ND.astype(np.float32), labels, rng.uniform(0.5, 2, ROWS)


def _fit(strength: float = STRENGTH, *, balanced: bool = False, **changes: np.ndarray) -> dict[str, FittedHead]:
    feature_ND, labels, weight_N = _rows()
    return fit_heads(feature_ND, labels | changes, weight_N, SPACE, strength=strength, balanced=balanced)


def _torch_gradient(head: FittedHead, name: str, *, balanced: bool) -> float:
    """Return the largest slope of the documented loss in double precision, by automatic differentiation."""
    feature_ND, labels, weight_N = _rows()
    wide_ND = torch.from_numpy(feature_ND.astype(np.float64))
    mean_D, deviation_D = wide_ND.mean(0), wide_ND.std(0, unbiased=False)
    # Of the float32 layer back to standardised features: rounding leaves slopes of about 1e-7.
    weight_CD = (torch.from_numpy(head.weight_CD).double() * deviation_D).requires_grad_()
    bias_C = torch.from_numpy(head.bias_C).double() + torch.from_numpy(head.weight_CD).double() @ mean_D
    bias_C = bias_C.detach().requires_grad_()
    label_N = torch.from_numpy(labels[name])
    share_N = torch.from_numpy(weight_N)
    if balanced:
        share_N = share_N / torch.stack([share_N[label_N == one].sum() for one in label_N])
    each_N = torch.nn.functional.cross_entropy(
        (wide_ND - mean_D) / deviation_D @ weight_CD.T + bias_C, label_N, reduction="none"
    )
    loss = (share_N / share_N.sum() * each_N).sum() + STRENGTH / 2 * weight_CD.square().sum()
    loss.backward()
    assert weight_CD.grad is not None
    assert bias_C.grad is not None
    return max(float(weight_CD.grad.abs().max()), float(bias_C.grad.abs().max()))


@pytest.mark.parametrize("name", SPACE.names)
@pytest.mark.parametrize("balanced", [False, True])
def test_the_gradient_of_the_documented_loss_is_zero_for_two_and_for_three_classes(name: str, balanced: bool) -> None:
    assert _torch_gradient(_fit(balanced=balanced)[name], name, balanced=balanced) < 4e-5  # of a fit that ends at 2e-5
    assert _torch_gradient(_fit(STRENGTH * 1.1, balanced=balanced)[name], name, balanced=balanced) > 1e-4


def test_probabilities_equal_those_of_scikit_learn_alone() -> None:
    feature_ND, labels, weight_N = _rows()
    scaler = StandardScaler().fit(feature_ND.astype(np.float64))
    standard_ND = scaler.transform(feature_ND.astype(np.float64))
    prob = {}
    for name, sides in (("colour", 1), ("big", 2)):
        model = LogisticRegression(C=sides / (STRENGTH * weight_N.sum()), tol=1e-9, max_iter=10_000)
        prob[name] = model.fit(standard_ND, labels[name], sample_weight=weight_N).predict_proba(standard_ND)
    expected_NJ = np.einsum("nc,nb->ncb", prob["colour"], prob["big"]).reshape(ROWS, 6)
    found_NJ = head_probabilities(_fit(), feature_ND, SPACE)
    assert found_NJ.dtype == np.float32
    np.testing.assert_allclose(found_NJ, expected_NJ, atol=1e-4)  # the gradient is 2e-5 at most
    np.testing.assert_allclose(found_NJ.sum(axis=1), 1, atol=1e-6)


def test_a_layer_of_torch_on_the_raw_features_gives_the_same_probabilities() -> None:
    feature_ND, _, _ = _rows()
    heads = _fit()
    prob = [
        torch.softmax(
            torch.nn.functional.linear(
                torch.from_numpy(feature_ND), torch.from_numpy(head.weight_CD), torch.from_numpy(head.bias_C)
            ),
            dim=1,
        )
        for head in (heads["colour"], heads["big"])
    ]
    expected_NJ = torch.einsum("nc,nb->ncb", *prob).reshape(ROWS, 6).numpy()
    np.testing.assert_allclose(head_probabilities(heads, feature_ND, SPACE), expected_NJ, atol=1e-4)


def test_unknown_labels_are_left_out_of_their_task_alone() -> None:
    feature_ND, labels, weight_N = _rows()
    unknown = labels["big"].copy()
    unknown[::3] = -1
    found = _fit(big=unknown)
    kept = unknown >= 0
    rest = {name: label_N[kept] for name, label_N in labels.items()}
    alone = fit_heads(feature_ND[kept], rest, weight_N[kept], SPACE, strength=STRENGTH, balanced=False)
    np.testing.assert_array_equal(found["big"].weight_CD, alone["big"].weight_CD)
    np.testing.assert_array_equal(found["colour"].weight_CD, _fit()["colour"].weight_CD)
    assert not np.array_equal(found["big"].weight_CD, _fit()["big"].weight_CD)


def test_a_class_without_rows_is_never_predicted_and_finite() -> None:
    feature_ND, labels, _ = _rows()
    two_N = np.where(labels["colour"] == 1, -1, labels["colour"])
    heads = _fit(colour=two_N)
    assert np.isfinite(heads["colour"].weight_CD).all()
    assert np.isfinite(heads["colour"].bias_C).all()
    green_N = SPACE.marginals(head_probabilities(heads, feature_ND, SPACE))["colour"][:, 1]
    assert green_N.max() < 1e-12
    one_N = np.where(labels["colour"] == 2, 2, -1)
    blue_N = SPACE.marginals(head_probabilities(_fit(colour=one_N), feature_ND, SPACE))["colour"][:, 2]
    np.testing.assert_allclose(blue_N, 1)


def test_a_task_without_a_label_is_refused() -> None:
    with pytest.raises(DataError, match="no training row has a label"):
        _fit(big=np.full(ROWS, -1))


def test_balance_gives_every_class_the_same_sum_by_hand() -> None:
    label_N, weight_N = np.array([0, 0, 0, 2]), np.array([1.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(balanced_weights(label_N, weight_N, 1.0), [0.5, 0.5, 1.0, 2.0])
    np.testing.assert_allclose(balanced_weights(label_N, weight_N, 0.0), [2 / 3, 2 / 3, 4 / 3, 4 / 3])
    np.testing.assert_allclose(balanced_weights(label_N, weight_N, 0.5), weight_N / [2, 2, 2, 2**0.5] / 0.85355339)


def test_rows_of_weight_zero_and_a_constant_feature_change_nothing() -> None:
    feature_ND, labels, weight_N = _rows()
    weight_N[:10] = 0
    wide_ND = np.concatenate([feature_ND, np.full((ROWS, 1), 3.0, np.float32)], axis=1)
    found = fit_heads(wide_ND, labels, weight_N, SPACE, strength=STRENGTH, balanced=False)
    rest = {name: label_N[10:] for name, label_N in labels.items()}
    alone = fit_heads(feature_ND[10:], rest, weight_N[10:], SPACE, strength=STRENGTH, balanced=False)
    for name in SPACE.names:
        np.testing.assert_allclose(found[name].weight_CD[:, :-1], alone[name].weight_CD, atol=1e-6)
        assert (found[name].weight_CD[:, -1] == 0).all()
