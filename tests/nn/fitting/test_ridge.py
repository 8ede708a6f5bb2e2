"""Ridge regression: equal to scikit-learn's, with weights, and sums of parts equal to the whole."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import Ridge

from maskcls.nn.fitting.ridge import fit_ridge
from maskcls.nn.fitting.second_moments import class_moments, second_moments

ROWS, FEATURES, CLASSES, STRENGTH = 50, 4, 4, 0.3


def _rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features, labels of classes 0, 1 and 3, and weights."""
    rng = np.random.default_rng(5)
    label_N = rng.choice([0, 1, 3], size=ROWS)
    return rng.normal(size=(ROWS, FEATURES)) + 0.5 * label_N[:, None], label_N, rng.uniform(0.5, 2, ROWS)


def test_the_head_equals_that_of_scikit_learn() -> None:
    feature_ND, label_N, weight_N = _rows()
    found = fit_ridge(
        second_moments(feature_ND, weight_N), class_moments(feature_ND, weight_N, label_N, CLASSES), STRENGTH
    )
    assert found.present_P.tolist() == [0, 1, 3]
    target_NP = (label_N[:, None] == found.present_P).astype(float)
    model = Ridge(alpha=STRENGTH * weight_N.sum()).fit(feature_ND, target_NP, sample_weight=weight_N)
    np.testing.assert_allclose(found.weight_PD, model.coef_, atol=1e-10)
    np.testing.assert_allclose(found.bias_P, model.intercept_, atol=1e-10)


def test_the_sums_of_two_parts_are_those_of_the_whole() -> None:
    feature_ND, label_N, weight_N = _rows()
    parts = [slice(0, 20), slice(20, ROWS)]
    grams = [second_moments(feature_ND[part], weight_N[part]) for part in parts]
    sums = [class_moments(feature_ND[part], weight_N[part], label_N[part], CLASSES) for part in parts]
    whole = class_moments(feature_ND, weight_N, label_N, CLASSES)
    joined = sums[0] + sums[1]
    np.testing.assert_allclose((grams[0] + grams[1]).gram_DD, second_moments(feature_ND, weight_N).gram_DD)
    np.testing.assert_allclose(joined.sum_CD, whole.sum_CD, atol=1e-12)
    assert joined.present.tolist() == [0, 1, 3]
    np.testing.assert_allclose(joined.weight_C, [weight_N[label_N == c].sum() for c in range(CLASSES)])
