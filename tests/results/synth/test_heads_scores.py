"""Whether interpolated examples helped: only where both gains are clear of zero."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.results.comparison.difference import Difference
from maskcls.results.scores.intervals import Interval
from maskcls.results.synth.heads_scores import HeadsComparison, ScoredHeads, heads_comparison
from maskcls.show.synth.retrained_heads import verdict


def _one(name: str, low: float | None) -> ScoredHeads:
    gain = None if low is None else Difference(low + 0.05, low, low + 0.1, 0.9, 0.95)
    return ScoredHeads(name, 0.5, Interval(0.4, 0.6, 0.95), gain)


@pytest.mark.parametrize(
    ("plain", "balanced", "trained", "helped", "said"),
    [
        (0.01, 0.01, -0.2, True, "The examples helped"),
        (0.0, 0.01, 0.01, False, "over heads without is not above zero"),
        (0.01, -0.01, 0.01, False, "over heads without, equal weight per class is not above zero"),
        (-0.01, -0.01, 0.01, False, "over heads without and heads without, equal weight per class is not"),
    ],
)
def test_the_gain_over_both_kinds_without_examples_decides(
    plain: float, balanced: float, trained: float, helped: bool, said: str
) -> None:
    others = tuple(_one(*one) for one in (("plain", plain), ("balanced", balanced), ("trained", trained)))
    found = HeadsComparison(_one("mixed", None), others, 10)
    assert found.helped is helped
    assert said in verdict(found)
    assert found.to_json()["helped"] is helped


def test_scores_and_gains_by_hand() -> None:
    """Two classes. mixed: all right. plain: class 1 never found, F1 of 2/3 and 0."""
    truth_N, mixed_N, plain_N = np.array([0, 0, 1, 1, -1]), np.array([0, 0, 1, 1, 0]), np.array([0, 0, 0, 0, 1])
    found = heads_comparison(truth_N, mixed_N, {"plain": plain_N}, np.array([0, 1, 2, 3, 4]), 2)
    assert found.mixed.macro_f1 == 1
    (plain,) = found.others
    assert plain.macro_f1 == pytest.approx(1 / 3)
    assert plain.gain is not None
    assert plain.gain.value == pytest.approx(2 / 3)
