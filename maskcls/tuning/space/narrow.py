"""Zooming in: the space around the best values that a coarser stage found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from maskcls.tuning.space.space import Choices, Dimension, Range, Space

MARGIN = 0.125  # on both sides of the best values, as a share of the range they were found in


def narrowed(space: Space, best: Sequence[Mapping[str, Any]]) -> Space:
    """Return the space around the settings of the best trials.

    A range becomes that of the best values, wider by `MARGIN` of its width on both sides and no wider than it was. A
    setting with choices keeps them all, unless every one of the best has the same value: then only that. Settings that
    none of the best has stay as they are.

    best  plain values by dotted key, in any order; without any, the space is returned as it is.

    >>> found = narrowed(Space({"optim.lr": Range(0.0, 1.0)}), [{"optim.lr": 0.5}, {"optim.lr": 0.75}])
    >>> found.dimensions["optim.lr"]
    Range(low=0.375, high=0.875, log=False, step=None, whole=False)
    """
    return Space({key: _around(key, dimension, best) for key, dimension in space.dimensions.items()})


def _around(key: str, dimension: Dimension, best: Sequence[Mapping[str, Any]]) -> Dimension:
    having = [one for one in best if key in one]
    match dimension:
        case Choices():
            return _chosen(dimension, key, having)
        case Range():
            return _nearer(dimension, [one[key] for one in having]) if having else dimension
        case _:
            assert_never(dimension)


def _chosen(dimension: Choices, key: str, best: Sequence[Mapping[str, Any]]) -> Choices:
    numbers = {dimension.number(one[key]) for one in best} - {None}
    kept = [number for number in range(len(dimension.values)) if number in numbers or len(numbers) != 1]
    cases = {
        new: narrowed(dimension.cases[old], [one for one in best if dimension.number(one[key]) == old])
        for new, old in enumerate(kept)
        if old in dimension.cases
    }
    return Choices(tuple(dimension.values[number] for number in kept), cases)


def _nearer(dimension: Range, found: Sequence[float]) -> Range:
    shares = [dimension.share(value) for value in found]
    low = dimension.at(max(0.0, min(shares) - MARGIN))
    high = dimension.at(min(1.0, max(shares) + MARGIN))
    if dimension.step is not None:  # outwards, so that the neighbours of the best are kept
        steps = (math.floor((low - dimension.low) / dimension.step), math.ceil((high - dimension.low) / dimension.step))
        low, high = (dimension.low + number * dimension.step for number in steps)
    elif dimension.whole:
        low, high = math.floor(low), math.ceil(high)
    return Range(dimension.clipped(low), dimension.clipped(high), dimension.log, dimension.step, dimension.whole)
