"""The time of a stage, written while it works: a killed process can write nothing at its end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from maskcls.errors import MaskclsError

KEEP_S = 5.0  # seconds between two writes: a kill loses no more


@contextlib.contextmanager
def time_kept(write: Callable[[], object]) -> Iterator[None]:
    """Call `write` every KEEP_S seconds, on a thread of its own, until the block ends.

    A write that fails is tried again with the next: what fails for long, such as a full disk, the work itself reports.
    """
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(KEEP_S):
            with contextlib.suppress(MaskclsError, OSError):
                write()

    thread = threading.Thread(target=keep, name="time of the stage", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
