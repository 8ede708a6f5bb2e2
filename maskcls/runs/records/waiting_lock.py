"""A lock for which other processes wait, for milliseconds: for small files that several processes change."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskcls.errors import ResourceError

WAIT_S, POLL_S = 10.0, 0.02


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold the lock of this file; ResourceError where it cannot be made, or another process holds it for long."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ResourceError(
            "cannot write into the folder", where=str(path.parent), got=error.strerror, fix="make the folder writable"
        ) from None
    try:
        _wait(handle, path)
        yield
    finally:
        os.close(handle)


def _wait(handle: int, path: Path) -> None:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if not isinstance(error, BlockingIOError) or time.monotonic() > until:
                got = f"no lock after {WAIT_S:.0f} s" if isinstance(error, BlockingIOError) else error.strerror
                fix = "end the process that holds it"
                raise ResourceError("another process holds a lock", where=str(path), got=got, fix=fix) from None
            time.sleep(POLL_S)
