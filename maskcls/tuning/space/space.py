"""A space of settings, and the walk through it: which settings a trial has, as some depend on the value of others."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

GRID_POINTS = 4  # of a range without a step, in a grid
TOLERANCE = 1e-9  # relative to the width of a range: rounding of steps and logarithms

Values = dict[str, Any]  # plain data by dotted key


@dataclass(frozen=True)
class Choices:
    """One of several values of a setting.

    values  plain data, in the order of the file.
    cases   the settings that exist only together with a value, by the number of the value; none for most settings.
    """

    values: tuple[Any, ...]
    cases: Mapping[int, Space] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str | int | float | bool | None, ...]:
        """The values as a storage keeps them: lists and sections as text."""
        return tuple(value if _is_scalar(value) else json.dumps(value) for value in self.values)

    def number(self, value: Any) -> int | None:
        """Return the number of a value, or of its label; None where it is not among the values."""
        for known in (self.values, self.labels):
            for number, one in enumerate(known):
                if one == value and isinstance(one, bool) == isinstance(value, bool):
                    return number
        return None


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included.

    log   equal ratios are equally likely, in place of equal differences.
    step  between two neighbours, from `low` on; None: every number.
    whole  only whole numbers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    whole: bool = False

    def points(self, most: int = GRID_POINTS) -> list[float]:
        """Return the values of a grid: each step, or up to `most` values with equal distances, the ends included.

        >>> Range(0.001, 0.1, log=True).points(3)
        [0.001, 0.01, 0.1]
        >>> Range(1, 3, whole=True).points(), Range(0, 1, step=0.5).points()
        ([1, 2, 3], [0.0, 0.5, 1.0])
        """
        if self.low == self.high:
            return [self.clipped(self.low)]
        if self.step is not None or (self.whole and not self.log and self.high - self.low < most):
            step = self.step or 1
            count = math.floor((self.high - self.low) / step + TOLERANCE) + 1
            return [self.clipped(self.low + number * step) for number in range(count)]
        shares = [number / (most - 1) for number in range(most)]
        return list(dict.fromkeys(self.clipped(self.at(share)) for share in shares))

    def at(self, share: float) -> float:
        """Return the number at a share of the way from low to high: of the logarithm for a logarithmic range."""
        if self.log:
            return math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
        return self.low + share * (self.high - self.low)

    def share(self, value: float) -> float:
        """Return how far a value is from low to high, in [0, 1] within the range."""
        if self.low == self.high:
            return 0.0
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)

    def clipped(self, value: float) -> float:
        """Return the value within the range that is nearest, with 12 digits; whole where the range is."""
        inside = min(max(value, self.low), self.high)
        return round(inside) if self.whole else float(f"{inside:.12g}")

    def contains(self, value: Any) -> bool:
        """Tell whether a value is one of the range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        slack = TOLERANCE * max(abs(self.low), abs(self.high))
        if not self.low - slack <= value <= self.high + slack or (self.whole and value != round(value)):
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < 1e-6


Dimension = Choices | Range


@dataclass(frozen=True)
class Space:
    """The settings a search may change, by dotted key, in the order of the file."""

    dimensions: Mapping[str, Dimension]

    def walk(self, choose: Callable[[str, Dimension], Any]) -> Values:
        """Return the values of one trial; `choose` is asked for each setting that exists beside those chosen before."""
        values: Values = {}
        for key, dimension in self.dimensions.items():
            values[key] = chosen = choose(key, dimension)
            values |= _case(dimension, chosen).walk(choose)
        return values

    def grid(self) -> Iterator[Values]:
        """Yield every combination of the values of all settings, with `Range.points`."""
        parts = [list(_points(key, dimension)) for key, dimension in self.dimensions.items()]
        for combination in itertools.product(*parts):
            yield {key: value for part in combination for key, value in part.items()}

    def grid_size(self) -> int:
        """Return how many combinations the grid has, without making them."""
        return math.prod(_count(dimension) for dimension in self.dimensions.values())

    def every(self) -> Iterator[tuple[str, Dimension]]:
        """Yield every setting with its dimension, also those within cases, each once."""
        seen: set[str] = set()
        for key, dimension in self._nested():
            if key not in seen:
                seen.add(key)
                yield key, dimension

    def _nested(self) -> Iterator[tuple[str, Dimension]]:
        for key, dimension in self.dimensions.items():
            yield key, dimension
            if isinstance(dimension, Choices):
                for case in dimension.cases.values():
                    yield from case._nested()

    @property
    def conditional(self) -> bool:
        """Whether some settings exist only beside a value of another one."""
        return any(isinstance(one, Choices) and one.cases for one in self.dimensions.values())

    def inside(self, known: Mapping[str, Any]) -> Values | None:
        """Return the settings of the space as `known` has them, or None where one of them is outside the space."""

        def choose(key: str, dimension: Dimension) -> Any:
            value = known.get(key)
            match dimension:
                case Choices():
                    number = dimension.number(value)
                    if number is None:
                        raise LookupError
                    return dimension.values[number]
                case Range():
                    if not dimension.contains(value):
                        raise LookupError
                    return value
                case _:
                    assert_never(dimension)

        try:
            return self.walk(choose)
        except LookupError:
            return None


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _case(dimension: Dimension, value: Any) -> Space:
    """Return the settings that exist beside this value; none for a range."""
    if isinstance(dimension, Choices) and dimension.cases:
        number = dimension.number(value)
        if number is not None and number in dimension.cases:
            return dimension.cases[number]
    return Space({})


def _points(key: str, dimension: Dimension) -> Iterator[Values]:
    match dimension:
        case Choices(values):
            for value in values:
                for rest in _case(dimension, value).grid():
                    yield {key: value} | rest
        case Range():
            for value in dimension.points():
                yield {key: value}
        case _:
            assert_never(dimension)


def _count(dimension: Dimension) -> int:
    match dimension:
        case Choices(values):
            return sum(_case(dimension, value).grid_size() for value in values)
        case Range():
            return len(dimension.points())
        case _:
            assert_never(dimension)
