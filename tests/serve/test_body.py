"""Bodies of requests: limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from starlette.requests import Request

from maskcls.errors import UsageError
from maskcls.serve.body import BodyMemory, read_body
from maskcls.serve.limits import BODIES, ServerLimits, check_limits, check_token
from maskcls.serve.refusals import RefusedRequestError

LIMITS = ServerLimits(max_megabytes=1)
MEGABYTE = 1_000_000


def request_of(next_part: Callable[[], Awaitable[bytes | None]], length: str | None = None) -> Request:
    """Return a request whose body comes part by part; None ends it."""

    async def receive() -> dict[str, object]:
        part = await next_part()
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    headers = [] if length is None else [(b"content-length", length.encode())]
    return Request({"type": "http", "headers": headers}, receive)


def parts(*given: bytes) -> Callable[[], Awaitable[bytes | None]]:
    left = [*given]

    async def next_part() -> bytes | None:
        return left.pop(0) if left else None

    return next_part


def read(request: Request, limits: ServerLimits = LIMITS, memory: BodyMemory | None = None) -> bytes:
    """Return the body of a request."""
    with (memory or BodyMemory(limits)).of_request() as take:
        return asyncio.run(read_body(request, limits, take))


def refused(request: Request, limits: ServerLimits = LIMITS, memory: BodyMemory | None = None) -> int:
    """Return the status of a request that must be refused."""
    with pytest.raises(RefusedRequestError) as found:
        read(request, limits, memory)
    return found.value.status


def test_the_largest_body_is_read() -> None:
    assert read(request_of(parts(b"ab", b"", b"c"))) == b"abc"
    assert read(request_of(parts(bytes(MEGABYTE)), "1000000")) == bytes(MEGABYTE)


def test_a_body_that_says_it_is_too_large_is_refused_unread() -> None:
    async def untouched() -> bytes:
        pytest.fail("the body was read")

    assert refused(request_of(untouched, "1000001")) == 413
    assert refused(request_of(untouched, "-1")) == 400
    assert refused(request_of(untouched, "1e3")) == 400


def test_a_body_that_does_not_say_its_size_is_counted() -> None:
    taken = 0

    async def endless() -> bytes:
        nonlocal taken
        taken += 1
        return bytes(100_000)

    assert refused(request_of(endless)) == 413
    assert taken == 11  # ten fill the megabyte


def test_a_request_without_a_body_is_refused() -> None:
    assert refused(request_of(parts())) == 400


def test_a_client_that_pauses_is_refused() -> None:
    async def silent() -> bytes:
        await asyncio.sleep(60)
        return b"x"

    assert refused(request_of(silent), replace(LIMITS, idle_s=0.01)) == 408


def test_a_client_that_drips_is_refused() -> None:
    async def drip() -> bytes:
        await asyncio.sleep(0.001)
        return b"x"

    assert refused(request_of(drip), replace(LIMITS, body_s=0.03)) == 408


def test_all_bodies_together_are_limited_and_given_back() -> None:
    memory = BodyMemory(LIMITS)
    with memory.of_request() as take:
        take(BODIES * MEGABYTE - 10)
        assert read(request_of(parts(bytes(10))), memory=memory) == bytes(10)
        assert refused(request_of(parts(bytes(8), bytes(3))), memory=memory) == 503
        assert memory.held == BODIES * MEGABYTE - 10
    assert memory.held == 0


def test_limits_that_contradict_are_all_named() -> None:
    check_limits(ServerLimits(max_photos=8, queue=8, max_pixels=50_000_000))
    with pytest.raises(UsageError, match="2 in total") as found:
        check_limits(ServerLimits(max_photos=9, queue=8, max_pixels=50_000_001))
    assert "--queue 8" in str(found.value)
    assert "--max-pixels 50000001" in str(found.value)


@pytest.mark.parametrize("token", ["", "x" * 15, "x" * 15 + " x", "x" * 16 + "é", "x" * 16 + "\n"])
def test_a_weak_token_is_refused(token: str) -> None:
    check_token(None)
    check_token("x" * 16)
    with pytest.raises(UsageError, match="token"):
        check_token(token)
