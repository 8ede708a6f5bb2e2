"""Death before the n-th change of the disk: every file made, written, synced, renamed or removed is one.

Operations are seen by an audit hook, and writes and syncs at the functions of `os`, so no module of the package has to
be known here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def with_crash(
    function: Callable[[], int], folder: Path, point: int, count_file: Path | None = None
) -> Callable[[], int]:
    """Return a function that dies by SIGKILL before change number `point` of the disk; -1: never.

    folder      changes below it count.
    count_file  gets the names of all changes, one per line, when the function ends.
    """

    def crashing() -> int:
        seen: list[str] = []

        def change(name: str) -> None:
            if len(seen) == point:
                os.kill(os.getpid(), signal.SIGKILL)
            seen.append(name)

        _watch(str(folder), change)
        code = function()
        if count_file is not None:
            names = list(seen)
            count_file.write_text("".join(f"{name}\n" for name in names))
        return code

    return crashing


def _watch(folder: str, change: Callable[[str], None]) -> None:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES and _inside(folder, arguments[0]):
            change(event)
        elif event == "open" and _is_writing(arguments) and _inside(folder, arguments[0]):
            change("open")

    sys.addaudithook(hook)
    write, pwrite, fsync = os.write, os.pwrite, os.fsync

    def half_written(handle: int, data: Any) -> int:
        change("write")
        return write(handle, data)

    def half_written_at(handle: int, data: Any, offset: int) -> int:
        change("pwrite")
        return pwrite(handle, data, offset)

    def unsynced(handle: int) -> None:
        change("fsync")
        fsync(handle)

    # Only writes to real files are counted; stdout and stderr of a child are files as well, but not written with these.
    os.write, os.pwrite, os.fsync = half_written, half_written_at, unsynced


def _is_writing(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return bool(set(mode or "") & set("wxa+")) if isinstance(mode, str) else bool(flags & WRITING)


def _inside(folder: str, path: object) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return isinstance(path, int)
    return os.path.abspath(os.fsdecode(path)).startswith(folder)
