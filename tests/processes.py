"""Processes of other programs that a test waits for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import psutil

PATIENCE_S = 600.0  # far longer than anything takes on a busy machine


def lives(process: psutil.Process) -> bool:
    """Return whether a process has not ended; it may still be starting, so it need not sleep yet."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    return False


def all_end(processes: Sequence[psutil.Process]) -> bool:
    """Wait until processes have ended: they close their pipes a little earlier. False: they live on."""
    deadline = time.monotonic() + PATIENCE_S
    while any(map(lives, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(lives, processes))
