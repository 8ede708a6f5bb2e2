"""Folders that commits may fill and never make again: a run that is deleted while it is written stays deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from maskcls.errors import ResourceError

_filled: dict[Path, os.stat_result] = {}


@contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Let commits below `folder` fail once it was deleted, renamed or made again, until the end of the block.

    The folder is there at the beginning; ResourceError when it is not.
    """
    root = Path(os.path.realpath(folder))
    if root in _filled:
        yield
        return
    try:
        _filled[root] = os.stat(root)
    except OSError:
        raise _gone(root) from None
    try:
        yield
    finally:
        del _filled[root]


def make_parents(path: Path) -> None:
    """Make the folders above an absolute path, but none that is being filled; OSError, or ResourceError for that."""
    for root, made in _filled.items():
        if path.is_relative_to(root):
            _check_same(root, made)
            try:
                for below in reversed(path.relative_to(root).parents[:-1]):
                    (root / below).mkdir(exist_ok=True)
            except FileNotFoundError:
                raise _gone(root) from None
            return
    path.parent.mkdir(parents=True, exist_ok=True)


def _check_same(root: Path, made: os.stat_result) -> None:
    try:
        if os.path.samestat(os.stat(root), made):
            return
    except OSError:
        pass
    raise _gone(root)


def _gone(root: Path) -> ResourceError:
    return ResourceError(
        "the folder was deleted, renamed or replaced while it was written",
        where=str(root),
        fix="give the command again; nothing was written into the new folder",
    )
