"""The order of runs in a list."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from maskcls.runs.records.record import RunRecord

SORTS = ("score", "date", "time", "size", "name")


def in_order(found: Sequence[RunRecord], sort: str) -> list[RunRecord]:
    """Return runs the best, the newest, the longest or the largest first, or by name; those without come last."""
    named = sorted(found, key=lambda one: str(one.run.path))
    if sort == "name":
        return named
    value: Callable[[RunRecord], float | None] = {
        "score": lambda one: one.score,
        "date": lambda one: one.date.timestamp() if one.date else None,
        "time": lambda one: one.seconds,
        "size": lambda one: one.bytes,
    }[sort]
    return sorted(named, key=lambda one: math.inf if (v := value(one)) is None else -v)
