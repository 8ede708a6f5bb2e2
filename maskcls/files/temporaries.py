"""Temporary files and folders: locked by the process that writes them, and removed once nobody holds them.

The lock is one of the kernel on the open file, so it ends with the process, however that ends. A disk without such
locks (some network disks; others keep them per machine) has none: there, what a killed process leaves stays, as
nothing proves that its writer is gone. Where locks are per machine, another machine may remove a file that is being
written; its writer then fails with one clear error, and what was there before is unchanged.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from maskcls.files.file_locks import NO_LOCKS

TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


@contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[Path, int]]:
    """Make a file in a folder and yield its path and its descriptor, open for writing; OSError when that fails.

    At the end it is removed, unless it was moved to another name.
    """
    while True:
        path = folder / _name()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        if _is_ours(path, handle):
            break
        os.close(handle)  # swept between the two calls
    try:
        yield path, handle
    finally:
        try:
            with suppress(OSError):
                path.unlink()
        finally:
            os.close(handle)


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """Make a folder in a folder and yield its path; OSError when that fails.

    At the end it is removed with what is in it, unless it was moved to another name.
    """
    while True:
        path = folder / _name()
        path.mkdir()
        with suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if _is_ours(path, handle):
                break
            os.close(handle)
    try:
        yield path
    finally:
        try:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(handle)


def sweep(*folders: Path) -> None:
    """Remove the temporary files and folders directly in these folders that no process holds; faults are ignored."""
    for folder in dict.fromkeys(folders):
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if TEMPORARY.fullmatch(entry.name):
                    _remove_unheld(Path(entry.path))


def _name() -> str:
    return f".{secrets.token_hex(8)}.tmp"  # short: the name that it gets may be as long as is allowed


def _is_ours(path: Path, handle: int) -> bool:
    """Lock what was just made; False where another process, which takes it for a leftover, was quicker."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(handle))
    except FileNotFoundError:
        return False


def _remove_unheld(path: Path) -> None:
    with suppress(OSError):
        is_folder = path.is_dir() and not path.is_symlink()
        mode = os.O_RDONLY | os.O_DIRECTORY if is_folder else os.O_WRONLY
        handle = os.open(path, mode | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would block
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_folder:
                shutil.rmtree(path)
            else:
                path.unlink()
        finally:
            os.close(handle)
