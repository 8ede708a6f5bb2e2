"""A lock for which other processes wait, for milliseconds: for small files that several processes change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskcls.errors import ResourceError
from maskcls.files.file_locks import wait_for_lock

WAIT_S = 10.0


@contextmanager
def waiting_lock(path: Path, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock of this file; ResourceError where it cannot be made, or another process holds it for long."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ResourceError(
            "cannot write into the folder", where=str(path.parent), got=error.strerror, fix="make the folder writable"
        ) from None
    try:
        _wait(handle, path, wait_s)
        yield
    finally:
        os.close(handle)


def _wait(handle: int, path: Path, wait_s: float) -> None:
    try:
        got = None if wait_for_lock(handle, most_s=wait_s) else f"no lock after {wait_s:.0f} s"
    except OSError as error:
        got = error.strerror
    if got is not None:
        fix = "end the process that holds it"
        raise ResourceError("another process holds a lock", where=str(path), got=got, fix=fix)
