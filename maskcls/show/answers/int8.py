"""What 8-bit networks cost and gain, as a table and lines."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from maskcls.groupnouns import PHOTOS
from maskcls.results.comparison.difference import Difference
from maskcls.results.comparison.int8_cost import Int8Cost, ModelSpeed
from maskcls.results.comparison.rows import JOINT
from maskcls.show.pages.table import Table
from maskcls.show.terminal.text import number, number_of, percent, plural, span


def int8_table(cost: Int8Cost) -> Table:
    """Return macro-F1 in float and in 8 bits with the difference and its interval, of all tasks and of each."""
    names = [JOINT, *cost.scores.a.tasks] if len(cost.scores.a.tasks) > 1 else list(cost.scores.a.tasks)
    rows = [_row(cost, name) for name in names]
    return Table(["task", "float", "8 bits", "difference", "95 % interval", "same class"], rows, "Macro-F1 out of fold")


def int8_lines(cost: Int8Cost) -> list[str]:
    """Return the cost in sentences, for a terminal."""
    who = "" if cost.people is None or cost.noun == PHOTOS else f" of {number_of(cost.people, cost.noun)}"
    lines = [f"8 bits against float on {plural(cost.photos, 'held-out photo')}{who}, each fold's network alone:"]
    if cost.joint:
        found = cost.joint
        lines.append(
            f"  macro-F1             {number(cost.scores.b.macro_f1)} instead of {number(cost.scores.a.macro_f1)}: "
            f"{number(found.value, sign=True)}, {percent(found.level)} interval {_ends(found)}"
        )
    lines.append(f"  same joint class     {cost.same[JOINT]:.2%} of the photos")
    lines.append(f"  calibrated on        {plural(cost.calibration, 'photo')} of each fold's training {cost.noun[1]}")
    return lines


def speed_line(speed: ModelSpeed) -> str:
    """Return the photos per second and their ratio, with the middle half of the rounds."""
    middle, (low, high) = statistics.median(speed.ratios), _middle_half(speed.ratios)
    rates = [statistics.median(one) for one in (speed.float_per_s, speed.int8_per_s)]
    return (
        f"photos per second on one thread of this machine: {rates[1]:.3g} in 8 bits, {rates[0]:.3g} in float: "
        f"{middle:.2f} times, {low:.2f} to {high:.2f} in the middle half of {len(speed.ratios)} rounds"
    )


def _row(cost: Int8Cost, name: str) -> list[str]:
    a, b = cost.scores.a, cost.scores.b
    before, after = (a.macro_f1, b.macro_f1) if name == JOINT else (a.tasks[name].macro_f1, b.tasks[name].macro_f1)
    found = cost.scores.differences.get(name)
    difference = [number(found.value, sign=True), _ends(found)] if found else ["-", "-"]
    title = "all tasks" if name == JOINT else name
    return [title, number(before), number(after), *difference, number(cost.same[name])]


def _ends(found: Difference) -> str:
    return span(found.low, found.high, sign=True)


def _middle_half(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high
