"""Plain data in JSON files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from maskcls.errors import ResultError
from maskcls.files.atomic import commit
from maskcls.files.reading import RUN_FILE, FileKind, read_file

Value = TypeVar("Value")
# A hundred times the largest that maskcls writes; parsing it takes up to thirty times its size in memory.
JSON_FILE = FileKind(RUN_FILE.name, ResultError, 16 << 20, RUN_FILE.fix)
# Two million photos, whose digests are one text of 32 characters each; such a table itself may be as large as TABLE.
SIDECAR_FILE = FileKind("a sidecar", ResultError, 64 << 20, "restore it from a copy, or make it again")


def commit_json(path: Path, value: Any) -> str:
    """Commit plain data as `json_bytes`; ValueError for NaN."""
    return commit(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Return plain data as indented JSON, one newline at the end; ValueError for NaN."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def none_for_nan(value: Value) -> Value | None:
    """Return None for a float NaN, which JSON cannot hold, and any other value unchanged.

    >>> none_for_nan(float("nan")), none_for_nan(0.5)
    (None, 0.5)
    """
    return None if isinstance(value, float) and math.isnan(value) else value


def parse_json(text: bytes | str) -> Any:
    """Read one JSON value; ValueError for what is none, for NaN, and for a name twice in one object.

    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: the name 'a' is given twice
    """
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_once)


def read_json(path: Path, kind: FileKind = JSON_FILE) -> Any:
    """Read JSON that `commit_json` wrote; raises ResultError when it is missing, too large or damaged."""
    data = read_file(path, kind)
    try:
        return parse_json(data)
    except (ValueError, RecursionError) as error:
        fix = "restore it from a copy, or make it again"
        raise ResultError("a JSON file cannot be read", where=str(path), got=str(error), fix=fix) from None


def read_json_lines(path: Path) -> list[Any]:
    """Read one JSON value per line; raises ResultError as `read_json`."""
    try:
        return list(map(parse_json, read_file(path, JSON_FILE).decode().splitlines()))
    except (ValueError, RecursionError) as error:
        raise ResultError(
            "a log cannot be read",
            where=str(path),
            got=str(error),
            fix="restore it from a copy of the run, or train again",
        ) from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"the name {twice!r} is given twice")
    return found
