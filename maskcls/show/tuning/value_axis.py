"""Where the values of a searched setting lie on an axis, and how they are written there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import assert_never

from maskcls.errors import visible
from maskcls.results.search.study import SearchDimension, SearchTrial, SettingValue

LONGEST = 22  # characters of a value on an axis; tables have it whole
MOST_TICKS = 8
NAME_WIDTH, NAME_LINES = 18, 3
UNSET = "not set"  # of a setting that depends on another


@dataclass(frozen=True)
class ValueAxis:
    """One axis.

    name    of the setting, whole.
    is_log  numbers above 0 on a logarithmic scale.
    kinds   the values of a setting that is not a number, in their order, written whole; empty for numbers.
    low, high  ends of the numbers; low < high.
    """

    name: str
    is_log: bool
    kinds: tuple[str, ...]
    low: float
    high: float

    def place(self, value: SettingValue) -> float:
        """Return where a value lies: 0 and 1 are the ends of the axis."""
        if self.kinds:
            return (self.kinds.index(value_text(value)) + 0.5) / len(self.kinds)
        assert isinstance(value, int | float)
        low, high, at = (math.log(x) if self.is_log else float(x) for x in (self.low, self.high, value))
        return (at - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Return places and their labels: the ends and the middle of numbers, or the kinds, of many every few one."""
        if self.kinds:
            every = math.ceil(len(self.kinds) / MOST_TICKS)
            return [
                ((i + 0.5) / len(self.kinds), without_middle(self.kinds[i])) for i in range(0, len(self.kinds), every)
            ]
        middle = math.sqrt(self.low * self.high) if self.is_log else (self.low + self.high) / 2
        return [(place, f"{value:.3g}") for place, value in ((0.0, self.low), (0.5, middle), (1.0, self.high))]


def value_axis(dimension: SearchDimension, trials: Sequence[SearchTrial]) -> ValueAxis | None:
    """Return the axis of a setting for these trials; None where none of them has it."""
    values = [one.values[dimension.name] for one in trials if dimension.name in one.values]
    if not values:
        return None
    numbers = [x for x in values if isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)]
    if dimension.choices or len(numbers) < len(values):
        known = dict.fromkeys(value_text(x) for x in (*dimension.choices, *values))
        return ValueAxis(dimension.name, False, tuple(known), 0.0, 1.0)
    low, high, is_log = float(min(numbers)), float(max(numbers)), dimension.is_log and min(numbers) > 0
    if low == high:
        low, high = (low / 1.1, high * 1.1) if is_log else (low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1)
    return ValueAxis(dimension.name, is_log, (), low, high)


def value_text(value: SettingValue) -> str:
    """Write a value as a configuration has it, numbers with four digits.

    >>> [value_text(x) for x in (0.00123456, 3, True, None, "cutmix")]
    ['0.001235', '3', 'true', 'null', 'cutmix']
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.4g}"
        case int() | str():
            return visible(str(value))
        case _:
            assert_never(value)


def text_of(trial: SearchTrial, name: str, unset: str = UNSET) -> str:
    """Write a trial's value of a setting."""
    return value_text(trial.values[name]) if name in trial.values else unset


def without_middle(text: str, most: int = LONGEST) -> str:
    """Return the text, without its middle where it is longer than `most` characters.

    >>> without_middle("mobilenetv4_conv_small.e2400_r224_in1k")
    'mobilenetv4…_r224_in1k'
    """
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}…{text[len(text) - (most - most // 2 - 1) :]}"


def broken_name(name: str) -> str:
    """Return a dotted name in up to three lines, broken after dots and underscores.

    >>> broken_name("transforms.random_erasing_probability").split(chr(10))
    ['transforms.random_', 'erasing_', 'probability']
    """
    parts = visible(name).replace(".", ". ").replace("_", "_ ").split(" ")
    lines, line = [], ""
    for part in parts:
        if line and len(line + part) > NAME_WIDTH:
            lines.append(line)
            line = ""
        line += part
    lines = [piece for one in (*lines, line) for piece in wrap(one, NAME_WIDTH) or [""]]
    return "\n".join([*lines[: NAME_LINES - 1], without_middle("".join(lines[NAME_LINES - 1 :]), NAME_WIDTH)]).rstrip()


def typical_low(scores: Sequence[float]) -> float:
    """Return the lower end of an axis of scores: the lowest, or that of all but those far below the others.

    Far: three times the range of the middle half below its lower end (Tukey 1977, Exploratory Data Analysis).

    >>> typical_low([0.5, 0.52, 0.54, 0.55, 0.01]), typical_low([0.5, 0.51])
    (0.5, 0.5)
    """
    from statistics import quantiles

    if len(scores) < 4:
        return min(scores)
    first, _, third = quantiles(scores, n=4, method="inclusive")
    return min(one for one in scores if one >= first - 3 * (third - first))
