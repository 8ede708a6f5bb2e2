"""The decision rule: what bias and threshold do, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from calibrated_rows import PAIR, case

from maskcls.results.decisions.rule import DecisionRule, Kind


def test_a_bias_is_added_to_the_log_probabilities() -> None:
    prob_NJ, *_ = case(10, PAIR, 0)
    rule = DecisionRule("joint", (0.0, 1.0, -2.0, 0.5))
    odds = prob_NJ * np.exp([0.0, 1.0, -2.0, 0.5])
    np.testing.assert_allclose(rule.adjusted(prob_NJ), odds / odds.sum(axis=1, keepdims=True), rtol=1e-12)
    assert rule.labels(prob_NJ).tolist() == odds.argmax(axis=1).tolist() != prob_NJ.argmax(axis=1).tolist()
    assert rule.labels(prob_NJ).dtype == np.int64


def test_a_threshold_is_taken_off_before_the_weight() -> None:
    rule = DecisionRule("expected", (0.0, float(np.log(3))), (0.2, 0.3))
    # 0.6 - 0.2 = 0.4 against 3 (0.4 - 0.3) = 0.3; 0.55 - 0.2 = 0.35 against 3 (0.45 - 0.3) = 0.45
    assert rule.labels(np.array([[0.6, 0.4], [0.55, 0.45]])).tolist() == [0, 1]
    with pytest.raises(ValueError, match="thresholds"):
        rule.adjusted(np.array([[0.5, 0.5]]))


def test_a_rule_comes_back_from_json() -> None:
    for rule in (
        DecisionRule("task", (0.1, -0.2), numbers={"age >=60": -0.2}),
        DecisionRule("expected", (0.0, 1.0), (0.25, 0.5)),
    ):
        assert DecisionRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


@pytest.mark.parametrize(
    "arguments", [("other", (0.0,)), ("task", (float("nan"),)), ("task", (0.0, 0.0), (0.1,)), ("task", (float("inf"),))]
)
def test_what_is_no_rule_is_refused(arguments: tuple[Kind, tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="no rule"):
        DecisionRule(*arguments)


def test_probabilities_of_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, 2\)"):
        DecisionRule("task", (0.0, 0.0)).labels(np.ones((3, 3)) / 3)
