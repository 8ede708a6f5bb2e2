"""The body of a request, read into memory within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.requests import Request

from maskcls.serve.limits import BODIES, ServerLimits
from maskcls.serve.refusals import RefusedRequestError, server_busy


class BodyMemory:
    """Counts the bytes of all bodies that are in memory, at most `BODIES` bodies of the largest size."""

    def __init__(self, limits: ServerLimits) -> None:
        self.most, self.held = BODIES * limits.max_bytes, 0

    @contextmanager
    def of_request(self) -> Iterator[Callable[[int], None]]:
        """Yield a function that counts more bytes, and raises RefusedRequestError (503) when they do not fit.

        At the end, what it counted is given back.
        """
        own = 0

        def take(size: int) -> None:
            nonlocal own
            if self.held + size > self.most:
                raise server_busy("too many large requests are in work", 1)
            self.held, own = self.held + size, own + size

        try:
            yield take
        finally:
            self.held -= own


async def read_body(request: Request, limits: ServerLimits, take: Callable[[int], None]) -> bytes:
    """Return the body.

    take  called with the size of each part before it is kept.

    Raises RefusedRequestError: 413 for a body that is too large, by its Content-Length before it is read, or as counted
    while it is read; 400 for an empty one; 408 for a client that is too slow. ClientDisconnect if the client is gone.
    """
    check_length(request.headers.get("content-length"), limits)
    body = bytearray()
    parts = request.stream()
    try:
        async with asyncio.timeout(limits.body_s):
            while True:
                async with asyncio.timeout(limits.idle_s):
                    part = await anext(parts, None)
                if part is None:
                    break
                if len(body) + len(part) > limits.max_bytes:
                    raise too_large(f"more than {limits.max_bytes} bytes", limits)
                take(len(part))
                body += part
    except TimeoutError:
        expected = f"all within {limits.body_s:g} s, and no pause of {limits.idle_s:g} s"
        raise RefusedRequestError(408, "the body of the request did not come in time", expected=expected) from None
    if not body:
        raise RefusedRequestError(400, "the request has no body", expected="one or several photos")
    return bytes(body)


def check_length(declared: str | None, limits: ServerLimits) -> None:
    """Raise RefusedRequestError for a Content-Length above the limit, or no number; None: there is no header."""
    if declared is None:
        return
    if not declared.isdecimal():
        raise RefusedRequestError(400, "Content-Length is not a number")
    if int(declared) > limits.max_bytes:
        raise too_large(f"{int(declared)} bytes", limits)


def too_large(got: str, limits: ServerLimits) -> RefusedRequestError:
    """Return the refusal of a body of more bytes than allowed."""
    return RefusedRequestError(413, "the request is too large", got=got, expected=f"at most {limits.max_bytes} bytes")
