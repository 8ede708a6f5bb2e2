"""What 8 bits cost, from the classes of float and int8 networks."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.errors import ResultError
from maskcls.labels import LabelSpace, Task
from maskcls.results.comparison.int8_cost import Int8Cost, Int8Measured, ModelSpeed, int8_cost, refuse_loss
from maskcls.results.comparison.rows import CommonRows
from maskcls.show.answers.int8 import int8_lines, int8_table, speed_line

SPACE = LabelSpace((Task("kind", ("a", "b")),))


def cost_of(a: np.ndarray, b: np.ndarray, true: np.ndarray, people: int) -> Int8Cost:
    """Return the cost for rows of so many people, who have as many rows each."""
    who = [f"p{i % people}" for i in range(len(a))]
    rows = CommonRows([str(i) for i in range(len(a))], a, b, SPACE, {"kind": true}, who)
    return int8_cost(rows, calibration=7)


def test_scores_and_agreement_by_hand() -> None:
    true, a, b = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])

    found = cost_of(a, b, true, 2)

    # int8: F1 of a is 2 * 2 / (2 + 3), of b 2 * 1 / (2 + 1).
    assert found.scores.a.macro_f1 == 1
    assert found.scores.b.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found.same == {"kind": 0.75, "joint": 0.75}
    assert found.joint is not None
    assert found.joint.value == pytest.approx((4 / 5 + 2 / 3) / 2 - 1)
    assert (found.photos, found.people, found.calibration) == (4, 2, 7)


def many(wrong_share: float) -> Int8Cost:
    """Return the cost of int8 networks that are wrong in this share of the rows of 200 people, float being right."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 1000)
    b = np.where(rng.random(1000) < wrong_share, 1 - true, true)
    return cost_of(true, b, true, 200)


def test_only_a_significant_loss_above_the_limit_is_refused() -> None:
    large = many(0.1)
    small = cost_of(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), np.array([0, 0, 1, 1]), 2)

    with pytest.raises(ResultError, match="lose too much in 8 bits") as caught:
        refuse_loss(large, most=0.01, where="m.onnx")

    assert "--max-loss 0." in str(caught.value.fix)
    refuse_loss(large, most=0.2, where="m.onnx")
    assert small.joint is not None
    assert small.joint.high >= 0  # two people prove nothing
    refuse_loss(small, most=0.01, where="m.onnx")


def test_the_suggested_limit_is_accepted() -> None:
    cost = many(0.1)
    with pytest.raises(ResultError) as caught:
        refuse_loss(cost, most=0.01, where="m.onnx")

    refuse_loss(cost, most=float(str(caught.value.fix).split()[-1]), where="m.onnx")


def test_a_gain_is_never_refused() -> None:
    true = np.arange(1000) % 2
    worse = np.where(np.arange(1000) % 10 == 0, 1 - true, true)

    refuse_loss(cost_of(worse, true, true, 200), most=0.0, where="m.onnx")


def test_text_and_json_hold_the_numbers() -> None:
    cost, speed = many(0.1), ModelSpeed((100.0, 100.0, 100.0), (150.0, 200.0, 160.0), 4)

    text, table = "\n".join(int8_lines(cost)), int8_table(cost)
    plain = Int8Measured(cost, speed, 1000).to_json()

    assert f"{cost.scores.b.macro_f1:.4f} instead of 1.0000" in text
    assert f"{cost.same['joint']:.2%}" in text
    assert table.rows[0][1:3] == ["1.0000", f"{cost.scores.b.macro_f1:.4f}"]
    assert "160 in 8 bits, 100 in float: 1.60 times, 1.55 to 1.80" in speed_line(speed)
    assert plain["macro_f1_int8"] == cost.scores.b.macro_f1
    assert plain["speed"]["ratios"] == [1.5, 2.0, 1.6]
    assert plain["float_bytes"] == 1000
