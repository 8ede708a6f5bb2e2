"""A row of numbers as a line of bars."""

from maskcls.show.terminal.spark import BARS, sparkline


def test_a_line_of_bars() -> None:
    assert sparkline(range(8)) == BARS
    assert sparkline([1.0, 1.0]) == BARS[0] * 2
    assert sparkline([]) == ""
    assert sparkline([3, 3, 0, 0, 6, 6, 6, 6], width=4) == "▅▁██"
    assert len(sparkline(range(1000))) == 60
