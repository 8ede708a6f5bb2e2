"""Processes of multiprocessing that a command starts and ends; the command decides what Ctrl-C does."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from multiprocessing.context import SpawnProcess

TERMINATE_POLL_S = 0.05  # between two checks that a terminated child has ended


def start_child(child: SpawnProcess) -> None:
    """Start a child that ignores Ctrl-C: the terminal sends it to the whole group, and the parent decides."""
    if threading.current_thread() is not threading.main_thread():
        child.start()
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child.start()
    finally:
        signal.signal(signal.SIGINT, handler)


def end_children(children: Sequence[SpawnProcess], grace_s: float) -> None:
    """Send SIGTERM to children, and kill those that have not ended after `grace_s` seconds."""
    try:
        for child in children:
            child.terminate()
        until = time.monotonic() + grace_s
        while any(child.is_alive() for child in children) and time.monotonic() < until:
            time.sleep(TERMINATE_POLL_S)  # join(timeout) would wait for the sentinel, which loader processes hold too
    finally:  # also when a second Ctrl-C ends the wait
        for child in children:
            if child.is_alive():
                child.kill()
            child.join()
