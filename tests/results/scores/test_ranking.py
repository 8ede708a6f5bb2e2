"""ROC-AUC: by hand, against scikit-learn with ties, absent classes and unknown rows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from maskcls.labels import CONTEST
from maskcls.results.scores.ranking import ranking, rankings, roc_auc

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=60)


def test_by_hand() -> None:
    positive = np.array([True, False, True, False])
    assert roc_auc(np.array([3.0, 2.0, 1.0, 0.0]), positive) == 0.75  # 3 of 4 pairs in order
    assert roc_auc(np.array([1.0, 1.0, 1.0, 1.0]), positive) == 0.5
    assert math.isnan(roc_auc(np.array([1.0, 2.0]), np.array([True, True])))
    assert math.isnan(roc_auc(np.array([1.0, 2.0]), np.array([False, False])))


@settings(deadline=None, max_examples=40)
@given(PAIRS)
def test_ties_as_in_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    score_N, positive_N = np.array([p[0] for p in pairs]) / 5, np.array([p[1] for p in pairs])
    got = roc_auc(score_N, positive_N)
    if positive_N.all() or not positive_N.any():
        assert math.isnan(got)
    else:
        assert got == pytest.approx(roc_auc_score(positive_N, score_N), abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_every_class_and_task_as_in_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = 90
    prob_NJ = np.round(rng.dirichlet(np.ones(18), rows), 2)  # ties
    prob_NJ = (prob_NJ / prob_NJ.sum(axis=1, keepdims=True)).astype(np.float32)
    truth = CONTEST.decode(rng.choice([0, 3, 4, 5, 10, 12, 17], rows))  # eleven joint classes are absent
    truth["age"][rng.random(rows) < 0.3] = -1
    got = rankings(prob_NJ, truth, CONTEST)
    known = truth["age"] >= 0
    joint = CONTEST.encode(truth)[known]
    assert got.joint.rows == known.sum() < rows
    assert sum(map(math.isnan, got.joint.auc_by_class)) >= 11
    for label, value in enumerate(got.joint.auc_by_class):
        if not math.isnan(value):
            expected = roc_auc_score(joint == label, prob_NJ[known, label])
            assert value == pytest.approx(expected, abs=1e-9)
    defined = [value for value in got.joint.auc_by_class if not math.isnan(value)]
    assert got.joint.macro_auc == pytest.approx(np.mean(defined))
    for name, part in CONTEST.marginals(prob_NJ).items():
        rows_N = truth[name] >= 0
        expected = [roc_auc_score(truth[name][rows_N] == c, part[rows_N, c]) for c in range(part.shape[1])]
        assert got.tasks[name].auc_by_class == pytest.approx(expected, abs=1e-9)
        assert got.tasks[name].rows == rows_N.sum()


def test_the_macro_mean_is_scikit_learns_one_against_the_rest() -> None:
    rng = np.random.default_rng(0)
    prob_NC, true_N = rng.dirichlet(np.ones(5), 200), rng.integers(5, size=200)
    got = ranking(prob_NC, true_N)
    assert got.macro_auc == pytest.approx(roc_auc_score(true_N, prob_NC, multi_class="ovr"), abs=1e-12)
    assert got.auc_by_class == pytest.approx(roc_auc_score(true_N, prob_NC, multi_class="ovr", average=None))


def test_nothing_known_and_one_class_have_no_number_and_json_has_null() -> None:
    nothing = ranking(np.full((2, 3), 1 / 3), np.array([-1, -1]))
    assert math.isnan(nothing.macro_auc)
    assert nothing.to_json() == {"macro_auc": None, "rows": 0, "auc_by_class": [None, None, None]}
    one = ranking(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    assert json.loads(json.dumps(one.to_json(), allow_nan=False))["auc_by_class"] == [None, None]


def test_the_macro_mean_leaves_undefined_classes_out() -> None:
    prob_NC = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0]])
    got = ranking(prob_NC, np.array([0, 1, 1]))
    assert got.auc_by_class[:2] == (1.0, 1.0)
    assert math.isnan(got.auc_by_class[2])
    assert got.macro_auc == 1.0
