"""How many bytes a folder holds, and which symbolic links."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DiskUse:
    """The bytes of all files below a folder, and the symbolic links there, relative to it."""

    bytes: int = 0
    links: tuple[str, ...] = ()


def disk_use(folder: Path) -> DiskUse:
    """Add up the files below a folder and list the links; files that disappear meanwhile are not counted."""

    def stop(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    size, links = 0, []
    for parent, folders, names in os.walk(folder, onerror=stop):
        for name in (*folders, *names):
            path = Path(parent) / name
            with suppress(FileNotFoundError):
                about = path.lstat()
                if stat.S_ISLNK(about.st_mode):
                    links.append(str(path.relative_to(folder)))
                elif stat.S_ISREG(about.st_mode):
                    size += about.st_size
    return DiskUse(size, tuple(links))
