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
OUTSIDE = "is in a linked folder outside the data folder; links to single photos are followed"
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
    """Return for each safe path why it is no file; None if it is. The relative ones are checked by
    `file_faults`.
    """
    absolute = [path for path in paths if path.startswith("/")]
    found = dict(zip(absolute, file_faults(Path("/"), [path[1:] for path in absolute]), strict=True))
    relative = [path for path in paths if not path.startswith("/")]
    found |= dict(zip(relative, file_faults(root, relative), strict=True))
    return [found[path] for path in paths]


def file_faults(root: Path, paths: Sequence[str]) -> list[str | None]:
    """Return for each safe relative path why it is no file of the data set at `root`; None if it is one.

    A link to a file is followed wherever it leads, as stores of photos keep the files elsewhere (DVC, git-annex,
    the Hugging Face hub). A folder that is a link must lead to a folder below `root`. Every folder is resolved once,
    from its parent, so the cost is one system call per file and one per folder.
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
        if not below(folder):
            faults.append(OUTSIDE)
        elif stat.S_ISREG(mode) or os.path.isfile(full):
            faults.append(None)
        else:
            faults.append("a link to nothing" if stat.S_ISLNK(mode) and not os.path.exists(full) else "not a file")
    return faults


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
