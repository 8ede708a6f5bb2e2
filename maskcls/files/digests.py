"""SHA-256 of bytes; the size of the digest of a photo."""

from __future__ import annotations

import hashlib

DIGEST_BYTES = 16  # of a photo, see data/photos/identity/photo_digests.py


def sha256(data: bytes) -> str:
    """Return the hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()
