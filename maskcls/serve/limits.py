"""Limits of the server, each with its reason; numbers that a user may set are options of `maskcls serve`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from maskcls.data.photos.images import MAX_PIXELS
from maskcls.errors import UsageError

BODIES = 16  # bodies of the largest size that are held in memory; beyond that, requests are answered with 503
DECODED_BYTES = 512 << 20  # of decoded photos that wait for the model; beyond that, decoding waits
MOST_CONNECTIONS = 1000
DEFAULT_PIXELS = 25_000_000  # a 25-megapixel PNG takes 75 MB when decoded
SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServerLimits:
    """What the server accepts, and how long it waits.

    max_photos     of one request.
    max_megabytes  of the body of one request, in units of 1,000,000 bytes.
    max_pixels     of one photo, before it is decoded.
    batch          most photos that the model computes together.
    wait_ms        how long a photo waits for others that fill the batch, in milliseconds.
    queue          most photos that are accepted and not yet predicted.
    idle_s         longest pause within a body, in seconds; body_s: longest time for a whole body; head_s: for the
                   head of a request.
    stop_s         longest time to answer accepted requests after a signal to stop, in seconds.
    """

    max_photos: int = 32
    max_megabytes: int = 16
    max_pixels: int = DEFAULT_PIXELS
    batch: int = 32
    wait_ms: float = 5.0
    queue: int = 256
    idle_s: float = 10.0
    body_s: float = 60.0
    head_s: float = 10.0
    stop_s: float = 20.0

    @property
    def max_bytes(self) -> int:
        """Most bytes of the body of one request."""
        return self.max_megabytes * 1_000_000


def check_limits(limits: ServerLimits) -> None:
    """Raise UsageError for limits that contradict each other or the decoder, all of them in one message."""
    wrong = []
    if not math.isfinite(limits.wait_ms):
        wrong.append(f"--wait-ms {limits.wait_ms}: a number of milliseconds is needed")
    if limits.queue < limits.max_photos:
        wrong.append(
            f"--queue {limits.queue} is less than --max-photos {limits.max_photos}, so large requests never fit"
        )
    if limits.max_pixels > MAX_PIXELS:
        wrong.append(f"--max-pixels {limits.max_pixels}: photos of more than {MAX_PIXELS} pixels are never decoded")
    if wrong:
        raise UsageError("limits of the server contradict each other", offenders=wrong, fix="change one of them")


def check_token(token: str | None) -> None:
    """Raise UsageError for a token that cannot stand in a header, or is easily guessed."""
    if token is None:
        return
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            "this token cannot be used",
            where="--token",
            got=f"{len(token)} characters",
            expected=f"{SHORTEST_TOKEN} or more ASCII characters without spaces",
            fix="make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
