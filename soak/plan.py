"""What the command line asked of a part."""

from __future__ import annotations

import os
import random
import shlex
from dataclasses import dataclass
from pathlib import Path

FAILED = Path("build") / "soak"  # files of failed cases are kept here


@dataclass(frozen=True)
class Plan:
    """share: part of the full counts, in (0, 1]; only: the name of one thing to work on; case: its one case to repeat.

    jobs: cases at the same time.
    """

    share: float = 1.0
    seed: int = 0
    jobs: int = 1
    only: str = ""
    case: int | None = None

    def wants(self, name: str) -> bool:
        """Tell whether a thing of this name is worked on."""
        return self.only in ("", name)

    def cases(self, full: int) -> list[int]:
        """Return the numbers of the cases, of `full` in the whole soak."""
        return list(range(max(1, round(full * self.share)))) if self.case is None else [self.case]

    def every(self, points: int) -> list[int]:
        """Return evenly spaced ones of so many points, from a random start; all of them in the whole soak."""
        if self.case is not None:
            return [self.case]
        step = max(1, round(1 / self.share))
        return list(range(self.draws("start", points).randrange(min(step, max(points, 1))), points, step))

    def draws(self, *key: object) -> random.Random:
        """Return the random numbers of one case; they depend on the seed and the key alone."""
        return random.Random("/".join(map(str, (self.seed, *key))))

    def repeat(self, part: str, name: str, case: int) -> str:
        """Return the command that repeats one case."""
        return f"python -m soak {part} --only {shlex.quote(name)} --case {case} --seed {self.seed}"


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
