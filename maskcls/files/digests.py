"""SHA-256 of bytes."""

from __future__ import annotations

import hashlib


def sha256(data: bytes) -> str:
    """Return the hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()
