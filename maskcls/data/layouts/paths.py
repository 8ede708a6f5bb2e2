"""Checks of names and paths from a table: whether they are safe to join to a folder, and whether the file exists."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096
# Nearly every path matches this. A match of at most MAX_NAME_BYTES has none of the faults below.
PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]*(?:/[A-Za-z0-9_][A-Za-z0-9_.\- ]*)*")


def name_fault(name: str) -> str | None:
    """Return why text is not a safe name of a file or folder; None if it is.

    >>> name_fault("..")
    'not a name'
    >>> name_fault("a/b"), name_fault("1 한글.jpg")
    ('contains a path separator', None)
    """
    if name in ("", ".", ".."):
        return "empty" if not name else "not a name"
    if "/" in name or "\\" in name:
        return "contains a path separator"
    if name.startswith("~"):
        return "starts with '~'"
    if not name.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        return "contains a control character"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"longer than {MAX_NAME_BYTES} bytes"
    return None


def path_fault(path: str) -> str | None:
    """Return why text is not a safe relative path, parts joined by `/`; None if it is.

    >>> path_fault("a/../../b"), path_fault("/etc/passwd")
    ("the part '..' is not a name", 'not relative')
    """
    if len(path) <= MAX_NAME_BYTES and PLAIN.fullmatch(path):
        return None
    if path.startswith("/") or "://" in path or path[1:3] in (":/", ":\\"):
        return "not relative"
    for part in path.split("/"):
        fault = name_fault(part)
        if fault:
            return fault if part == path else f"the part {part!r} is {fault}".replace("is contains", "contains")
    return f"longer than {MAX_PATH_BYTES} bytes" if len(path.encode()) > MAX_PATH_BYTES else None


def located_path_fault(path: str) -> str | None:
    """Return why text is no safe path, relative or absolute, parts joined by `/`; None if it is.

    >>> located_path_fault("/photos/a.jpg"), located_path_fault("/photos/../a.jpg")
    (None, "the part '..' is not a name")
    """
    return path_fault(path[1:] if path.startswith("/") else path)


def located_file_faults(root: Path, paths: Sequence[str]) -> list[str | None]:
    """Return for each safe path why it is no file; None if it is. A relative one must lead to a file below `root`."""
    absolute = [path for path in paths if path.startswith("/")]
    found = dict(zip(absolute, file_faults(Path("/"), [path[1:] for path in absolute]), strict=True))
    relative = [path for path in paths if not path.startswith("/")]
    found |= dict(zip(relative, file_faults(root, relative), strict=True))
    return [found[path] for path in paths]


def file_faults(root: Path, paths: Sequence[str]) -> list[str | None]:
    """Return for each safe relative path why it is not a file below `root` after following links; None if it is.

    Every folder is resolved once, from its parent, so the cost is one system call per file and one per folder.
    """
    base = os.path.realpath(root)
    start = os.path.join(base, "")
    resolved = cache(os.path.realpath)
    composed = cache(_composed_names)

    @cache
    def below(folder: str) -> bool:
        if not folder:
            return True
        full = start + folder
        parent, _, name = full.rpartition("/")
        return _is_below(base, resolved(full) if os.path.islink(full) else os.path.join(resolved(parent or "/"), name))

    faults: list[str | None] = []
    for path in paths:
        full, folder = start + path, path.rpartition("/")[0]
        try:
            mode = os.lstat(full).st_mode
        except (OSError, ValueError):
            faults.append("no such file" + ("" if path.isascii() else _other_form(path, composed(start + folder))))
            continue
        if not below(folder) or (stat.S_ISLNK(mode) and not _is_below(base, os.path.realpath(full))):
            faults.append("leads outside the data folder")
        else:
            faults.append(None if stat.S_ISREG(mode) or os.path.isfile(full) else "not a file")
    return faults


def followed_file_faults(root: Path, paths: Sequence[str]) -> list[str | None]:
    """Return for each path why it is no file, after following links, also out of `root`; None if it is one."""
    start = os.path.join(root, "")
    return [_missing(start + path) for path in paths]


def _missing(path: str) -> str | None:
    if os.path.isfile(path):
        return None
    return "a link to nothing" if os.path.islink(path) and not os.path.exists(path) else "not a file"


def same_text(a: str, b: str) -> bool:
    """Return whether two names look the same but have different bytes (composed and decomposed Unicode)."""
    return a != b and unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b)


def _other_form(path: str, composed: frozenset[str]) -> str:
    there = unicodedata.normalize("NFC", path.rpartition("/")[2]) in composed
    return " (its name there is composed differently: NFC and NFD)" if there else ""


def _composed_names(folder: str) -> frozenset[str]:
    try:
        return frozenset(unicodedata.normalize("NFC", name) for name in os.listdir(folder))
    except OSError:
        return frozenset()


def _is_below(base: str, path: str) -> bool:
    return path == base or path.startswith(base.rstrip("/") + "/")
