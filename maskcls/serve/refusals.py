"""Requests that are refused: status, message, and an answer that the client can read although it is still sending."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

BODY_ENDED = "maskcls.body_ended"  # in the scope of a request whose body was read to its end
LINGER_S = 2.0
LINGER_BYTES = 8 << 20


class RefusedRequestError(Exception):
    """A request that is not answered with predictions.

    status   HTTP status, 400 to 599.
    what     the reason in one line; got: what was found; expected: what is allowed.
    headers  of the answer.
    """

    def __init__(
        self,
        status: int,
        what: str,
        *,
        got: str | None = None,
        expected: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(what)
        self.status, self.what, self.got, self.expected, self.headers = status, what, got, expected, dict(headers or {})

    def to_json(self) -> dict[str, object]:
        """Return the body of the answer."""
        parts = {"what": self.what, "got": self.got, "expected": self.expected}
        return {"version": 1, "error": {name: value for name, value in parts.items() if value is not None}}


def server_busy(what: str, seconds: float) -> RefusedRequestError:
    """Return the refusal of a request that would have been accepted at another time, in so many seconds."""
    return RefusedRequestError(503, what, headers={"retry-after": str(max(1, min(60, round(seconds + 0.5))))})


class RefusedResponse(JSONResponse):
    """The answer to a refused request; reads what the client still sends for a moment, then closes the connection.

    A connection that is closed while the client sends is reset, and the client would not see the answer.
    """

    def __init__(self, refused: RefusedRequestError) -> None:
        super().__init__(refused.to_json(), refused.status, {**refused.headers, "connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        if BODY_ENDED not in scope:
            await _discard_body(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard_body(receive: Receive) -> None:
    ends, left = time.monotonic() + LINGER_S, LINGER_BYTES
    while left > 0 and (remaining := ends - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(receive(), remaining)
        except TimeoutError:
            return
        left -= len(message.get("body", b""))
        if not message.get("more_body", False):
            return
