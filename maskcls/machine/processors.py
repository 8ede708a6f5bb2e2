"""Resources this process may use: cores, CPU name, threads. Imports no heavy package."""

from __future__ import annotations

import os
from pathlib import Path

MOST_THREADS = 17


def cores() -> int:
    """Return the number of CPU cores this process may run on, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Return the name of the CPU; empty where the system does not report it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def reading_threads(workers: int | None) -> int:
    """Return the number of threads that decode photos while nothing else runs.

    workers  loader processes of the configuration, 0 or more: one thread for each, and one for this process. None: one
             thread per core, from 2 to `MOST_THREADS`.
    """
    return min(MOST_THREADS, max(2, cores())) if workers is None else workers + 1
