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


def read_json(path: Path) -> Any:
    """Read JSON that `commit_json` wrote; raises ResultError when it is missing, too large or damaged."""
    data = read_file(path, JSON_FILE)
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ResultError(
            "a file of the run cannot be read",
            where=str(path),
            got=str(error),
            fix="restore it from a copy of the run, or train again",
        ) from None


def read_json_lines(path: Path) -> list[Any]:
    """Read one JSON value per line; raises ResultError as `read_json`."""
    try:
        return [json.loads(line, parse_constant=_refuse) for line in read_file(path, JSON_FILE).decode().splitlines()]
    except (ValueError, RecursionError) as error:
        raise ResultError(
            "a log cannot be read",
            where=str(path),
            got=str(error),
            fix="restore it from a copy of the run, or train again",
        ) from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")
