"""The locks of a run's folder: for the one process that writes it, and for those that read it while others may delete.

A lock ends with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from maskcls import files
from maskcls.errors import BusyError, ResourceError
from maskcls.files.file_locks import wait_for_lock
from maskcls.rundir import RunDir

HOLDER = re.compile(r"process ([0-9]{1,10}) on (.*) since \S+")
MOST_BYTES = 200  # of a lock that are read
ASKING_S = 0.02  # more than the time for which `use_of` in runs/integrity/run_in_use.py holds the lock


@dataclass(frozen=True)
class Holder:
    """The process that a lock names, and its machine."""

    process: int
    host: str


def holder_of(text: str) -> Holder | None:
    """Return whom the content of a lock names; None for a text that is none.

    >>> holder_of("process 7 on node1 since 2026-11-30T03:00:00+00:00")
    Holder(process=7, host='node1')
    """
    match = HOLDER.fullmatch(text)
    return None if match is None else Holder(int(match[1]), match[2])


def last_holder(run: RunDir) -> Holder | None:
    """Return who took the lock last, who may have ended; None where it was never taken, or is no lock of maskcls."""
    try:
        handle = os.open(run.lock_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return holder_of(os.pread(handle, MOST_BYTES, 0).decode(errors="replace"))
    except OSError:  # a folder
        return None
    finally:
        os.close(handle)


@contextmanager
def lock(run: RunDir) -> Iterator[None]:
    """Lock the run for this process; raises BusyError without waiting. The lock ends with the process.

    ResourceError for a run that is not there: `lock_new` makes one. While it is locked, no commit makes the folder
    again once it was deleted or renamed.
    """
    try:
        handle = os.open(run.lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise _unlocked(run, error) from None
    _held.add(handle)
    try:
        _take(run, handle)
        with files.filling(run.path):
            yield
    finally:
        if handle in _held:
            _held.remove(handle)
            os.close(handle)


@contextmanager
def lock_new(run: RunDir) -> Iterator[None]:
    """Do what `lock` does, for a folder that may have to be made."""
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unlocked(run, error) from None
    with lock(run):
        yield


@contextmanager
def reading(run: RunDir) -> Iterator[None]:
    """Keep `runs prune` from deleting what is read, until the end of the block; any number of processes may read.

    Where the folder cannot be locked, nothing keeps it: some network disks.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            _lock_folder(run, fcntl.LOCK_SH, stack)
        yield


@contextmanager
def alone(run: RunDir) -> Iterator[None]:
    """Keep others from reading the run; BusyError when one does, see `reading`."""
    with ExitStack() as stack:
        with suppress(OSError):
            try:
                _lock_folder(run, fcntl.LOCK_EX, stack)
            except BlockingIOError:
                raise BusyError("another process reads the run", where=str(run.path), fix="wait for it") from None
        yield


def _lock_folder(run: RunDir, kind: int, stack: ExitStack) -> None:
    handle = os.open(run.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, handle)
    fcntl.flock(handle, kind | fcntl.LOCK_NB)


def sweep_run(run: RunDir) -> None:
    """Remove temporary files of killed processes, anywhere in the run and beside it; see `files.sweep`."""
    files.sweep(run.path.resolve().parent, *(Path(folder) for folder, _, _ in os.walk(run.path)))


def _take(run: RunDir, handle: int) -> None:
    try:
        if not wait_for_lock(handle, most_s=ASKING_S):
            raise BusyError(
                "another process is working on this run",
                where=str(run.path),
                got=os.pread(handle, MOST_BYTES, 0).decode(errors="replace") or "an unknown process",
                fix="wait for it, or choose another --run",
            )
        before = os.pread(handle, MOST_BYTES, 0).decode(errors="replace")
        if before.strip("\0") and holder_of(before) is None:  # zeros are left by a machine that lost power
            raise BusyError(
                "the folder holds a file of another program, where a run has its lock",
                where=str(run.lock_file),
                got=repr(before[:40]),
                fix="choose another --run, or move the file away",
            )
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {platform.node()} since {since}".encode(), 0)
    except OSError as error:
        raise _unlocked(run, error) from None


def _forget_locks() -> None:
    """Close a forked child's copies of the locks: a loader worker that outlives its parent must not hold the run."""
    while _held:
        os.close(_held.pop())


_held: set[int] = set()
os.register_at_fork(after_in_child=_forget_locks)


def _unlocked(run: RunDir, error: OSError) -> ResourceError:
    return ResourceError(
        "cannot lock the run folder",
        where=str(run.path),
        got=error.strerror or str(error),
        fix="choose a folder that can be written, on a disk with file locks",
    )
