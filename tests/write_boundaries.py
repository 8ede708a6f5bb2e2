"""A process that is killed, or a disk that fails, at the n-th operation that changes a folder."""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maskcls.files import TEMPORARY

CHANGES = ("replace", "rename", "link", "symlink", "unlink", "remove", "mkdir", "rmdir", "fsync", "write", "truncate")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Killed(BaseException):
    """The process ends here: nothing catches this, and nothing changes the disk any more."""


class Disk:
    """Counts the operations that change what lies below a folder, and lets some of them fail.

    fails  from the number of an operation, from 1, to what it raises; None: it succeeds.
    """

    def __init__(self, below: Path, fails: Callable[[int], BaseException | None]) -> None:
        self.below, self.fails, self.count = os.path.realpath(below), fails, 0
        self.names: list[str] = []
        self.turn = threading.RLock()  # of threads: one operation after the other

    def change(self, name: str, place: object, dir_fd: int | None, data: bytes = b"") -> BaseException | None:
        """Count an operation; return what it raises. data: what it would write."""
        where = _path(place, dir_fd)
        if where != self.below and not where.startswith(self.below + os.sep):
            return None
        self.count += 1
        self.names.append(f"{name} {os.path.relpath(where, self.below)}")
        return self.fails(self.count)


class CopyingDisk(Disk):
    """Copies the folder before each operation, as a kill in that operation would leave it: half of a write is done.

    A process that is killed changes nothing afterwards, so one call shows all its kills.

    every  of the operations inside temporary folders, one in so many is copied.
    """

    def __init__(self, below: Path, copies: Path, every: int = 1) -> None:
        super().__init__(below, lambda count: None)
        self.copies, self.every = copies, every

    def change(self, name: str, place: object, dir_fd: int | None, data: bytes = b"") -> BaseException | None:
        before = self.count
        super().change(name, place, dir_fd)
        if self.count > before and (self.count % self.every == 0 or not _inside_temporary(self.names[-1])):
            copy = self.copies / str(self.count)
            shutil.copytree(self.below, copy, symlinks=True)
            if isinstance(place, int) and name == "write":
                _write_half(place, copy / os.path.relpath(_path(place, dir_fd), self.below), data)
        return None


def _inside_temporary(name: str) -> bool:
    """Tell whether an operation changes something in a temporary folder, not that folder itself."""
    return any(TEMPORARY.fullmatch(part) for part in Path(name.partition(" ")[2]).parts[:-1])


def _write_half(handle: int, copy: Path, data: bytes) -> None:
    at_end = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_APPEND
    offset = os.fstat(handle).st_size if at_end else os.lseek(handle, 0, os.SEEK_CUR)
    if copy.exists():  # it may have been deleted while it was open
        with copy.open("r+b") as file:
            file.seek(offset)
            file.write(data[: len(data) // 2])


def _path(place: object, dir_fd: int | None) -> str:
    if isinstance(place, int):
        return os.readlink(f"/proc/self/fd/{place}")
    start = os.getcwd() if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
    return os.path.normpath(os.path.join(start, os.fsdecode(place)))  # type: ignore[call-overload]


@contextmanager
def watched(disk: Disk) -> Iterator[Disk]:
    """Let a disk see every operation of this process until the end of the block."""
    saved = {name: getattr(os, name) for name in (*CHANGES, "open")}
    real_open = builtins.open

    def changing(name: str) -> Callable[..., Any]:
        def call(place: Any, *rest: Any, **named: Any) -> Any:
            dir_fd = named.get("dir_fd", named.get("src_dir_fd"))
            data = bytes(rest[0]) if name == "write" else b""
            with disk.turn:
                if (error := disk.change(name, place, dir_fd, data)) is not None:
                    if name == "write":
                        saved["write"](place, data[: len(data) // 2])
                    raise error
                return saved[name](place, *rest, **named)

        return call

    def os_open(place: Any, flags: int, *rest: Any, **named: Any) -> int:
        with disk.turn:
            if flags & WRITING and (error := disk.change("open", place, named.get("dir_fd"))) is not None:
                raise error
            return saved["open"](place, flags, *rest, **named)  # type: ignore[no-any-return]

    def open_file(place: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        writes = not isinstance(place, int) and set(mode) & set("wax+")
        with disk.turn:
            if writes and (error := disk.change("open", place, None)) is not None:
                raise error
            return real_open(place, mode, *rest, **named)

    try:
        for name in CHANGES:
            setattr(os, name, changing(name))
        os.open = os_open
        builtins.open = io.open = open_file
        yield disk
    finally:
        for name, function in saved.items():
            setattr(os, name, function)
        builtins.open = io.open = real_open


def kill_at(n: int) -> Callable[[int], BaseException | None]:
    """Return the failures of a process that is killed at its n-th operation."""
    return lambda count: Killed(n) if count >= n else None


def break_at(n: int, code: int) -> Callable[[int], BaseException | None]:
    """Return the failures of a disk whose n-th operation alone fails with this errno."""
    return lambda count: OSError(code, os.strerror(code)) if count == n else None


def killed(run: Callable[[], object], below: Path, n: int) -> bool:
    """Call a function and kill it at its n-th operation; False when it ends before that."""
    with contextlib.suppress(Killed), watched(Disk(below, kill_at(n))):
        run()
        return False
    return True


def operations(run: Callable[[], object], below: Path) -> list[str]:
    """Call a function; return every operation with its place below the folder."""
    with watched(Disk(below, lambda count: None)) as disk:
        run()
    return disk.names


def content_below(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder by its path there; a folder has its name with a / at the end."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {f"{name}/": b"" for name, path in found.items() if path.is_dir()} | {
        name: path.read_bytes() for name, path in found.items() if path.is_file()
    }
