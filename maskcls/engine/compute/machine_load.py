"""How much other processes used the CPU cores during a measurement."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

BUSY_SHARE = 0.1  # share of this process's cores; if other processes use more, the machine counts as busy
IDLE, IOWAIT, COUNTED = 3, 4, 8  # columns of /proc/stat: user nice system idle iowait irq softirq steal


@dataclass(frozen=True)
class Clocks:
    """Times in seconds: monotonic clock, CPU time of this process, and CPU time of all processes on its cores."""

    wall_s: float
    own_s: float
    all_s: float | None  # None where the system does not report it
    cores: int


def read_clocks() -> Clocks:
    """Read the clocks now."""
    cores, all_s = _cpu_seconds()
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own_s = sum(one.ru_utime + one.ru_stime for one in usage)
    return Clocks(time.monotonic(), own_s, all_s, cores)


def others_share(before: Clocks, after: Clocks) -> float:
    """Return the share of the cores that other processes used between two readings; 0 if unknown.

    >>> round(others_share(Clocks(0.0, 0.0, 0.0, 2), Clocks(10.0, 15.0, 19.0, 2)), 3)
    0.2
    """
    wall_s = after.wall_s - before.wall_s
    if before.all_s is None or after.all_s is None or wall_s <= 0:
        return 0.0
    others_s = (after.all_s - before.all_s) - (after.own_s - before.own_s)
    return max(0.0, others_s) / (wall_s * after.cores)


def _cpu_seconds() -> tuple[int, float | None]:
    """Return the number of cores this process may run on, and their busy time in seconds, including stolen time."""
    try:
        mine = {f"cpu{n}" for n in os.sched_getaffinity(0)}
        lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
        rows = [list(map(int, words[1:])) for words in map(str.split, lines) if words and words[0] in mine]
    except (AttributeError, OSError, ValueError):
        return 1, None
    if not rows:
        return 1, None
    ticks = sum(sum(row[:COUNTED]) - row[IDLE] - row[IOWAIT] for row in rows)
    return len(rows), ticks / os.sysconf("SC_CLK_TCK")
