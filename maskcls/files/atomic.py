"""How one file is written.

Commit = temporary file in the same folder, fsync, rename, fsync the folder: a reader sees the old or the new file,
never a part of one. A killed process loses only the file it was writing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from maskcls.errors import ResourceError
from maskcls.files.digests import sha256
from maskcls.files.own_folders import make_parents
from maskcls.files.reading import file_sha256
from maskcls.files.temporaries import sweep, temporary_file

UNCHANGED = "what was there before is unchanged"
NOT_SYNCED = "the new file is complete, but may be lost if the power fails now"


@dataclass(frozen=True)
class AsideFile:
    """A complete file that is not at its place yet: where it is, its hex SHA-256, its size in bytes."""

    path: Path
    sha256: str
    bytes: int


def commit(path: Path, data: bytes) -> str:
    """Write bytes to `path` atomically and return their hex SHA-256; raises ResourceError when writing fails.

    The folder is created if needed, but never one that is being filled, see `filling`. An existing regular file is
    replaced; of a symbolic link, the target is replaced. Anything else at `path` is an error. What killed processes
    left in the folder is removed, see `sweep`.
    """
    with as_unwritten(path, len(data)):
        target = regular_target(path)
        make_parents(target)
        _replace(target, data)
    with as_unwritten(path, len(data), NOT_SYNCED):
        sync_folder(target.parent)
    sweep(target.parent)
    return sha256(data)


@contextmanager
def written_aside(path: Path, write: Callable[[BinaryIO], None]) -> Iterator[AsideFile]:
    """Write a temporary file beside `path`, for a file too large for memory, and yield it.

    write  gets the open file. The digest is of the bytes on disk, read again.

    At the end of the block the file is removed, unless it was moved to its place. Raises ResourceError when writing
    fails.
    """
    with as_unwritten(path):
        target = regular_target(path)
        make_parents(target)
        kept = temporary_file(target.parent)
        temporary, handle = kept.__enter__()
    try:
        with as_unwritten(path):
            with open(handle, "wb", closefd=False) as file:
                write(file)
                file.flush()
                os.fsync(handle)
            aside = AsideFile(temporary, file_sha256(temporary), temporary.stat().st_size)
        yield aside
    finally:
        kept.__exit__(None, None, None)


def regular_target(path: Path) -> Path:
    """Return where a file is written, links resolved; ResourceError for what is there and no regular file."""
    target = path.resolve()
    if target.is_symlink() or (target.exists() and not target.is_file()):  # a link that remains is a loop
        raise ResourceError("the output is not a regular file", where=str(target), fix="choose another path")
    return target


def _replace(target: Path, data: bytes) -> None:
    with temporary_file(target.parent) as (temporary, handle):
        write_synced(handle, data)
        os.replace(temporary, target)


def write_synced(handle: int, data: bytes) -> None:
    """Write all bytes and wait until they are on disk; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
    os.fsync(handle)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on disk; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot sync folders at all
            raise
    finally:
        os.close(handle)


@contextmanager
def as_unwritten(path: Path, size: int | None = None, state: str = UNCHANGED) -> Iterator[None]:
    """Raise ResourceError for a file that cannot be written; state: what is true of it then."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:  # the latter two: NUL in the name, a loop before 3.13
        reason = getattr(error, "strerror", None) or str(error)
        raise ResourceError(
            "cannot write a file",
            where=str(path),
            got=reason if size is None else f"{reason} ({size} bytes)",
            fix=f"free disk space or choose another folder; {state}",
        ) from None
