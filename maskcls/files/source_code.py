"""Which code wrote a file: a digest of the program's own source files, as the version alone does not tell."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


@cache
def code_sha256() -> str:
    """Return the hex SHA-256 of this program's code, the same wherever it is installed; see `tree_sha256`."""
    return tree_sha256(PACKAGE)


def tree_sha256(folder: Path) -> str:
    """Return the hex SHA-256 of the names and contents of all Python files below a folder, in the order of names."""
    found, paths = hashlib.sha256(), {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.py")}
    for name in sorted(paths):
        found.update(name.encode() + b"\0" + hashlib.sha256(paths[name].read_bytes()).digest())
    return found.hexdigest()
