"""How files are read: regular files only, of a size that the caller limits, and never waiting.

Opening a pipe without a writer waits for ever, a device may have no end, and a file of some kilobytes may claim the
size of a disk. So a file is opened without waiting, and what it is and how large it is are asked of the opened
file, not of its name, which may lead elsewhere by then. tests/files/test_other_reads.py finds reads that do without.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from maskcls.errors import MaskclsError, ResourceError, ResultError

T = TypeVar("T")

RETRY_AFTER_S = (0.05, 0.2, 0.8)
FLAKY = {errno.EIO, errno.ESTALE, errno.EINTR}  # a network disk may give the file a moment later
MACHINE = {*FLAKY, errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # not the file's fault
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class FileKind:
    """A kind of file that is read.

    name   what messages call it: "the weights".
    error  the class of errors about such a file.
    most   its largest size in bytes.
    fix    what to do about a file that cannot be read.
    """

    name: str
    error: type[MaskclsError]
    most: int
    fix: str = "check the path"


# Its size: larger than the weights of any network in timm, and hashed within a minute.
WRITTEN_FILE = FileKind("a file", ResultError, 64 << 30, "restore it from a copy, or make it again")
RUN_FILE = FileKind("a file of the run", ResultError, WRITTEN_FILE.most, "restore it or train again")


def read_file(path: Path, kind: FileKind) -> bytes:
    """Return the bytes that a file had when it was opened; raises `kind.error` for what is no such file.

    Raises ResourceError where the machine cannot read it; a file on a disk that fails is tried again before.
    """

    def read() -> bytes:
        with _opened(path, kind) as file:
            return _content(file.fileno(), os.fstat(file.fileno()).st_size)

    return _tried(read, path, kind)


def file_sha256(path: Path, kind: FileKind = WRITTEN_FILE) -> str:
    """Return the hex digest of a file's content, read in pieces; errors as `read_file`."""

    def digest() -> str:
        with _opened(path, kind) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    return _tried(digest, path, kind)


@contextmanager
def opened(path: Path, kind: FileKind) -> Iterator[BufferedReader]:
    """Open a file for reading a part of it; errors of opening as `read_file`, later ones are OSError."""
    with _tried(lambda: _opened(path, kind), path, kind) as file:
        yield file


def check_file(path: Path, kind: FileKind) -> None:
    """Raise what `read_file` would raise at its beginning; nothing is read."""
    with opened(path, kind):
        pass


def size_text(count: int) -> str:
    """Return a number of bytes with a unit.

    >>> size_text(300), size_text(64 << 20), size_text(3 << 29)
    ('300 bytes', '64 MiB', '1.5 GiB')
    """
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):.4g} {unit}"
    return f"{count} bytes"


def _opened(path: Path, kind: FileKind) -> BufferedReader:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            got = f"{KINDS.get(stat.S_IFMT(info.st_mode), 'something')}, not a regular file"
            raise kind.error(f"cannot read {kind.name}", where=str(path), got=got, fix=kind.fix)
        if info.st_size > kind.most:
            got, expected = f"too large, {size_text(info.st_size)}", f"at most {size_text(kind.most)}"
            raise kind.error(f"cannot read {kind.name}", where=str(path), got=got, expected=expected)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _content(handle: int, size: int) -> bytes:
    """Read `size` bytes, or up to the end; usually in one call, and without a copy."""
    parts, left = [], size
    while left and (part := os.read(handle, left)):
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _tried(read: Callable[[], T], path: Path, kind: FileKind) -> T:
    """Call `read`, once more after each pause while the disk fails; raise its other errors as those of the kind."""
    for pause_s in (*RETRY_AFTER_S, None):
        try:
            return read()
        except (OSError, ValueError) as error:  # the latter: NUL or half a character in the name
            number = getattr(error, "errno", None)
            if number in FLAKY and pause_s is not None:
                time.sleep(pause_s)
                continue
            got = getattr(error, "strerror", None) or str(error)
            if number in MACHINE:
                raise ResourceError(
                    f"the machine cannot read {kind.name}",
                    where=str(path),
                    got=got,
                    fix="check free space, rights and limits (ulimit -a), then give the command again",
                ) from error
            raise kind.error(f"cannot read {kind.name}", where=str(path), got=got, fix=kind.fix) from error
    raise AssertionError("the last try returns or raises")
