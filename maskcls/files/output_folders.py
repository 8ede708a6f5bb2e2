"""A folder as an output: made aside, and moved to its place when it is complete."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskcls.errors import BusyError
from maskcls.files.atomic import NOT_SYNCED, as_unwritten, sync_folder
from maskcls.files.own_folders import make_parents
from maskcls.files.reading import file_sha256
from maskcls.files.temporaries import sweep, temporary_folder


@contextmanager
def folder_aside(target: Path) -> Iterator[Path]:
    """Make a temporary folder beside `target` and yield it; at the end of the block it is removed, unless it was moved.

    Leftovers of killed commands beside it are removed first: they may be large. Raises OSError when that fails.
    """
    target = target.resolve()
    make_parents(target)
    sweep(target.parent)
    with temporary_folder(target.parent) as draft:
        yield draft


def put_folder(draft: Path, target: Path, *, force: bool = False) -> None:
    """Move a complete folder to its place, which may be an empty folder; one with the same files is left as it is.

    force  replace a folder, which is then called `.bak`; an older one of that name is removed before.

    Raises BusyError when a folder with files is there, unless `force`; ResourceError when it cannot be moved.
    """
    target = target.resolve()
    with as_unwritten(target):
        if target.is_dir() and _files(target) == _files(draft):
            return
        if force and target.is_dir():
            backup = target.with_name(target.name + ".bak")
            if backup.exists():
                shutil.rmtree(backup)
            os.rename(target, backup)
        try:
            os.rename(draft, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            fix = "name another folder, or remove this one"
            raise BusyError("the output exists", where=str(target), fix=fix) from None
    with as_unwritten(target, state=NOT_SYNCED):
        sync_folder(target.parent)


def _files(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): file_sha256(path) for path in folder.rglob("*") if path.is_file()}
