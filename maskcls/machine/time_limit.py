"""A limit on the time of a command: it is told to stop when the time is up, and ended when it does not."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from maskcls.errors import Exit

STOP_BEFORE_S = 5.0  # a training is told to stop so long before the limit: it saves its last step
END_AFTER_S = 4.0  # what has not stopped so long after the limit is ended
LAST_WORDS_S = 3.0  # for what is printed then


def process_start_s() -> float:
    """Return when this process started, on the clock of `time.monotonic`.

    Where the system does not tell, it is taken from the CPU time used, which is less than the time that has passed.
    """
    try:
        ticks = float(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, LookupError, ValueError):
        age_s = time.process_time()
    return time.monotonic() - max(0.0, age_s)


_time_was_up = threading.Event()  # in this process


def end_if_late(code: int) -> None:
    """End this process at once if a limit was reached in it: closing all libraries in order may take seconds."""
    if _time_was_up.is_set():
        end_now(code)


def end_now(code: int) -> NoReturn:
    """End this process and its children at once, without any cleaning up."""
    import multiprocessing  # here, as every command loads this module

    for child in multiprocessing.active_children():
        child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class TimeLimit:
    """Sends SIGTERM to this process when the time is up, as a job scheduler does; the work stops and is saved.

    seconds   from `began_s` on; infinity: no limit. began_s: of `time.monotonic`; None: now.
    give_up   called on a thread of its own END_AFTER_S after the limit, where the work has not stopped; it ends the
              process.

    Use it as a context manager, in which SIGTERM raises `errors.Stopped`.
    """

    def __init__(self, seconds: float, *, began_s: float | None = None, give_up: Callable[[], None]) -> None:
        self.seconds, self.give_up = seconds, give_up
        self.began_s = time.monotonic() if began_s is None else began_s
        self.is_up = False
        self._active, self._lock = False, threading.Lock()
        self._timers: list[threading.Timer] = []

    @property
    def passed_s(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self.began_s

    @property
    def left_s(self) -> float:
        """Seconds in which work can still be done; not below 0."""
        return max(0.0, self.seconds - STOP_BEFORE_S - self.passed_s)

    def __enter__(self) -> TimeLimit:
        self._active = True
        if math.isfinite(self.seconds):
            stop_s = self.left_s
            end_s = max(stop_s, self.seconds + END_AFTER_S - self.passed_s)
            self._timers = [threading.Timer(stop_s, self._stop), threading.Timer(end_s, self._end)]
            for timer in self._timers:
                timer.daemon = True
                timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:  # no signal is sent once this is done
            self._active = False
        for timer in self._timers:
            timer.cancel()

    def _stop(self) -> None:
        with self._lock:
            if self._active:
                self.is_up = True
                _time_was_up.set()
                os.kill(os.getpid(), signal.SIGTERM)

    def _end(self) -> None:
        if not self._active:
            return
        last = threading.Timer(LAST_WORDS_S, end_now, [Exit.TERMINATED])
        last.daemon = True
        last.start()
        self.give_up()
        last.cancel()
