"""Which workers live: each holds the lock of its own file in the study's folder, and the lock ends with the process."""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from maskcls.errors import ResourceError
from maskcls.files.file_locks import is_locked, wait_for_lock
from maskcls.rundir import StudyDir
from maskcls.runs.locks.waiting_lock import waiting_lock
from maskcls.tuning.storage import LOCKED_S


@contextmanager
def living(folder: StudyDir) -> Iterator[str]:
    """Give this process a name among the workers of a study, and show that it lives until the block ends."""
    name = f"{platform.node() or 'host'}-{os.getpid()}-{secrets.token_hex(4)}"
    path = folder.workers / name
    try:
        folder.workers.mkdir(parents=True, exist_ok=True)
        with waiting_lock(folder.lock_file, LOCKED_S):  # else `sweep_workers` may take the file before it is locked
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            wait_for_lock(handle, most_s=0.0)
    except OSError as error:
        raise ResourceError(
            "cannot write into the folder of the study",
            where=str(folder.workers),
            got=error.strerror,
            fix="choose a --study on a disk that can be written and has file locks",
        ) from None
    try:
        yield name
    finally:
        os.close(handle)
        with suppress(OSError):
            path.unlink()


def lives(folder: StudyDir, name: str) -> bool | None:
    """Tell whether a worker lives; None where only its signs of life in the storage tell, as it is on another host."""
    if name.rsplit("-", 2)[0] != (platform.node() or "host"):
        return None
    try:
        return is_locked(folder.workers / name)
    except OSError:
        return None


def sweep_workers(folder: StudyDir) -> None:
    """Remove the files of workers of this host that are dead; the study's lock is held by the caller."""
    for path in folder.workers.glob("*") if folder.workers.is_dir() else ():
        if lives(folder, path.name) is False:
            path.unlink(missing_ok=True)
