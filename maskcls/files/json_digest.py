"""JSON that carries a digest of its own content: a change by hand, or by a bad disk, is noticed without a second file.

The digest is of the values, not of the text: other blanks and another order of the keys are the same content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskcls.errors import ResultError
from maskcls.files.digests import sha256

DIGEST = "digest"  # its key
FIX = "restore the file from a copy, or make it again; it is not made to be edited by hand"


def content_digest(value: Any) -> str:
    """Return the hex SHA-256 of plain data, the same for all JSON texts of it.

    >>> content_digest({"a": 1, "b": [0.5]}) == content_digest({"b": (0.5,), "a": 1}) != content_digest({"a": 2})
    True
    """
    plain = json.loads(json.dumps(value))  # keys as text, so that they can be sorted
    return sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode())


def with_digest(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data with the digest of the rest as its last entry."""
    rest = {key: value for key, value in data.items() if key != DIGEST}
    return {**rest, DIGEST: content_digest(rest)}


def without_digest(data: Any, path: Path, *, required: bool) -> Any:
    """Return plain data without its digest, which is compared; `path` is where it was read.

    required  False: data without a digest is of an earlier version, and returned as it is.

    Raises ResultError when the content was changed, or a required digest is missing.
    """
    if not isinstance(data, dict) or DIGEST not in data:
        if required:
            raise ResultError(
                "the digest of a file is missing", where=str(path), expected="as maskcls wrote it", fix=FIX
            )
        return data
    rest = {key: value for key, value in data.items() if key != DIGEST}
    if (found := content_digest(rest)) != data[DIGEST]:
        raise ResultError(
            "the file was changed after maskcls wrote it",
            where=str(path),
            got=f"content of digest {found[:12]}…",
            expected=f"digest {str(data[DIGEST])[:12]}…",
            fix=FIX,
        )
    return rest
