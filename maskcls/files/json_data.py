"""Plain data in JSON files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from maskcls.errors import ResultError
from maskcls.files.atomic import commit

Value = TypeVar("Value")


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
    """Read JSON that `commit_json` wrote; raises ResultError when it is missing or damaged."""
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse)
    except FileNotFoundError:
        raise ResultError("a file of the run is missing", where=str(path), fix="restore it or train again") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ResultError(
            "a file of the run cannot be read",
            where=str(path),
            got=str(error),
            fix="restore it from a copy of the run, or train again",
        ) from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not allowed")
