"""How one file is written.

Commit = temporary file in the same folder, fsync, rename, fsync the folder: a reader sees the old or the new file,
never a part of one. A killed process loses only the file it was writing.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from maskcls.errors import ResourceError
from maskcls.files.digests import sha256
from maskcls.files.reading import file_sha256

TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


def commit(path: Path, data: bytes) -> str:
    """Write bytes to `path` atomically and return their hex SHA-256; raises ResourceError when writing fails.

    The folder is created if needed. An existing regular file is replaced; of a symbolic link, the target is replaced.
    Anything else at `path` is an error.
    """
    try:
        target = path.resolve()
        if target.is_symlink() or (target.exists() and not target.is_file()):  # a link that remains is a loop
            raise ResourceError("the output is not a regular file", where=str(target), fix="choose another path")
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, data)
    except (OSError, ValueError, RuntimeError) as error:  # the latter two: NUL in the name, a loop before 3.13
        raise _unwritten(path, data, error, "what was there before is unchanged") from None
    try:
        _sync_folder(target.parent)
    except OSError as error:
        raise _unwritten(
            path, data, error, "the new file is complete, but may be lost if the power fails now"
        ) from None
    return sha256(data)


def write_aside(path: Path, write: Callable[[BinaryIO], None]) -> tuple[Path, str]:
    """Write a temporary file beside `path`, for a file too large for memory; returns it and its hex SHA-256.

    write  gets the open file. The digest is of the bytes on disk, read again.

    `put_in_place` then moves it to `path`; the caller removes it when that does not happen. Raises ResourceError when
    writing fails; the temporary file is then removed.
    """
    try:
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as handle:
                write(handle)
                handle.flush()
                os.fsync(handle.fileno())
            return temporary, file_sha256(temporary)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except (OSError, ValueError) as error:
        raise _unwritten(path, b"", error, "what was there before is unchanged") from None


def put_in_place(temporary: Path, path: Path) -> None:
    """Move what `write_aside` wrote to `path`, atomically; an existing file stays beside it as `.bak`.

    Raises ResourceError when that fails.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists():
            kept = target.with_name(target.name + ".bak")
            kept.unlink(missing_ok=True)
            try:
                os.link(target, kept)
            except OSError:  # a disk without hard links
                shutil.copyfile(target, kept)
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _unwritten(path, b"", error, "the complete file is " + str(temporary)) from None


def _replace(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")  # short: the target's name may be as long as allowed
    try:
        _write_synced(temporary, data)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot sync folders at all
            raise
    finally:
        os.close(handle)


def _unwritten(path: Path, data: bytes, error: Exception, state: str) -> ResourceError:
    reason = getattr(error, "strerror", None) or str(error)
    return ResourceError(
        "cannot write a file",
        where=str(path),
        got=f"{reason} ({len(data)} bytes)",
        fix=f"free disk space or choose another folder; {state}",
    )
