"""Locks of the kernel on open files: they end with the process that holds them, however that ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

POLL_S = 0.01
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.EBADF, errno.ENOSYS)  # of a disk without locks


def wait_for_lock(handle: int, *, most_s: float) -> bool:
    """Lock an open file for this process alone; False when another one still holds it after `most_s` seconds.

    Raises OSError where the disk has no locks.
    """
    until = time.monotonic() + most_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(POLL_S)


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock of a file alone; nothing is written, and False for a file not there.

    Raises OSError where the disk has no locks.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait
    except OSError:
        return False
    try:
        return is_held(handle)
    finally:
        os.close(handle)


def is_held(handle: int) -> bool:
    """Do what `is_locked` does for an open file, which then has a lock that is shared, until it is closed."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
