"""The lines of log.jsonl: means of losses and watch numbers over some steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_LINES = 100


def log_steps(steps: int) -> int:
    """Return the number of steps per line.

    >>> log_steps(5000), log_steps(20_000), log_steps(200), log_steps(4)
    (50, 200, 2, 1)
    """
    return -(-steps // MOST_LINES)


def is_logged(step: int, steps: int) -> bool:
    """Return whether a line ends with a step, counted from 1; the last step always ends one."""
    return step == steps or step % log_steps(steps) == 0


@dataclass
class LogLines:
    """The lines so far, and the sums of the one that is not finished. Without times, so that a resumed training writes
    the same.

    sums  per name: the sum, and how many steps had it.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, numbers: Mapping[str, float], step: int, steps: int) -> None:
        """Add the numbers of a step, counted from 1; end the line if it is time."""
        for name, number in numbers.items():
            pair = self.sums.setdefault(name, [0.0, 0])
            pair[0], pair[1] = pair[0] + number, pair[1] + 1
        if is_logged(step, steps):
            means = {name: total / count for name, (total, count) in self.sums.items()}
            self.lines.append(dict(sorted({"step": step, **means}.items())))  # in the order of a saved state
            self.sums = {}
