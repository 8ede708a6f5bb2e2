"""A lock for which other processes wait, for milliseconds: for small files that several processes change."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskcls.errors import ResourceError


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold the lock of this file; ResourceError where it cannot be made."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ResourceError("cannot write into the folder", where=str(path.parent), got=error.strerror) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
