"""The rule: what comes later replaces what comes first only where it is clearly and repeatedly faster."""

from __future__ import annotations

import pytest
from compute_fakes import HALF_LAST, HALF_PLAIN, LAST, PLAIN

from maskcls.engine.compute.candidates import Candidate
from maskcls.engine.compute.plan import Execution
from maskcls.engine.compute.rule import MARGIN, ROUNDS, winner


def chosen(*rows: tuple[Execution, list[float]]) -> Execution:
    """Return the winner by images/s per round."""
    return winner({Candidate(execution, 2): [64 / speed for speed in speeds] for execution, speeds in rows}).execution


@pytest.mark.parametrize(
    ("speeds", "want"),
    [
        ([650.0, 650.0, 650.0], LAST),  # 650 against 641 images/s is noise
        ([720.0, 600.0, 720.0], LAST),  # once faster by 12 %, once slower
        ([720.0, 720.0, 700.0], LAST),  # 1.123 twice, and 1.092
        ([720.0, 720.0], LAST),  # two rounds are not repeatedly enough
        ([], LAST),
        ([705.2, 705.2, 705.2], HALF_LAST),  # 1.1002
        ([720.0, 900.0, 710.0], HALF_LAST),
    ],
)
def test_a_less_exact_format_has_to_be_repeatedly_faster_by_a_tenth(speeds: list[float], want: Execution) -> None:
    assert (MARGIN, ROUNDS) == (1.10, 3)
    assert chosen((LAST, [641.0] * 3), (HALF_LAST, speeds)) == want


def test_rounds_are_compared_one_by_one() -> None:
    """The machine slows down in the second round, and with it both candidates."""
    assert chosen((LAST, [641.0, 300.0, 641.0]), (HALF_LAST, [720.0, 340.0, 720.0])) == HALF_LAST
    assert chosen((LAST, [641.0, 300.0, 641.0]), (HALF_LAST, [720.0, 320.0, 720.0])) == LAST


def test_the_best_so_far_is_what_the_next_has_to_beat() -> None:
    """200 is faster than 100 by far, and than 190 by too little."""
    rows = [(LAST, [100.0] * 3), (PLAIN, [190.0] * 3), (HALF_LAST, [200.0] * 3), (HALF_PLAIN, [209.1] * 3)]
    assert chosen(*rows[:3]) == PLAIN
    assert chosen(*rows) == HALF_PLAIN  # 1.1005 times 190
    assert chosen(rows[0]) == LAST
