"""At most so many jobs at the same time on one machine, whoever watches them: each holds one of so many locks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from maskcls.files.file_locks import wait_for_lock
from maskcls.rundir import JobsDir

POLL_S = 0.2


@contextmanager
def own_slot(jobs: JobsDir, most: int) -> Iterator[int]:
    """Wait until fewer than `most` jobs work, and count as one within the block; yields its number, below `most`."""
    while True:
        for number in range(most):
            handle = os.open(jobs.slot(number), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            if wait_for_lock(handle, most_s=0.0):
                try:
                    yield number
                finally:
                    os.close(handle)
                return
            os.close(handle)
        time.sleep(POLL_S)
