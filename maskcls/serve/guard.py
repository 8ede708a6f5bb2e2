"""Who may ask: the checks before a route, the headers of every answer, and what is counted of each request."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskcls.serve.metrics import ServerMetrics
from maskcls.serve.refusals import BODY_ENDED, RefusedRequestError, RefusedResponse

OPEN = ("/", "/health", "/ready")  # without a token: the page has no secret, and probes have no token
ROUTES = (*OPEN, "/predict", "/model", "/metrics", "/openapi.json")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True)
class AccessRules:
    """Who may ask.

    token     asked for by all routes but `OPEN`; None: by none.
    loopback  the server listens on a loopback address.
    """

    token: str | None
    loopback: bool


def check_access(method: str, path: str, headers: Mapping[str, str], rules: AccessRules) -> None:
    """Raise RefusedRequestError for a request that these rules do not allow.

    421  without a token, a server on a loopback address answers to the names of that address alone: a web page whose
         name was made to point to it (DNS rebinding) would otherwise be of the same origin.
    403  a browser says that the page of another site posts.
    401  the token is missing or wrong.
    """
    host = headers.get("host", "")
    if rules.loopback and rules.token is None and host_name(host) not in LOOPBACK:
        raise RefusedRequestError(
            421,
            "this server answers to localhost alone",
            got=host,
            expected="Host: localhost, or a server with --token",
        )
    if method == "POST" and from_other_site(headers):
        raise RefusedRequestError(403, "the page of another site may not post here")
    if rules.token is not None and path not in OPEN and not has_token(headers.get("authorization", ""), rules.token):
        raise RefusedRequestError(
            401,
            "the token is missing or wrong",
            expected="Authorization: Bearer TOKEN",
            headers={"www-authenticate": "Bearer"},
        )


def host_name(host: str) -> str:
    """Return the name of a Host header without its port, in lower case.

    >>> [host_name(host) for host in ("LOCALHOST:8000", "[::1]:80", "a.example")]
    ['localhost', '::1', 'a.example']
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def from_other_site(headers: Mapping[str, str]) -> bool:
    """Tell whether a browser sends this for the page of another site; programs send neither of the two headers."""
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and place_of(origin) != headers.get("host")


def place_of(url: str) -> str:
    """Return the host and port of an address as they are written; empty for what is no address.

    >>> [place_of(url) for url in ("http://a.example:81", "null", "http://[")]
    ['a.example:81', '', '']
    """
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def has_token(authorization: str, token: str) -> bool:
    """Tell whether an Authorization header has the token, in a time that does not depend on how much of it is right."""
    kind, _, given = authorization.partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


class AccessGuard:
    """ASGI application around another: checks, headers, counts."""

    def __init__(self, app: ASGIApp, rules: AccessRules, metrics: ServerMetrics) -> None:
        self.app, self.rules, self.metrics = app, rules, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def receive_until_end() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                scope[BODY_ENDED] = True
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    own.setdefault(name, value)
            await send(message)

        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            check_access(scope["method"], scope["path"], headers, self.rules)
            await self.app(scope, receive_until_end, send_with_headers)
        except RefusedRequestError as refused:
            await RefusedResponse(refused)(scope, receive_until_end, send_with_headers)
        finally:
            route = scope["path"] if scope["path"] in ROUTES else "other"
            self.metrics.request(route, status, time.monotonic() - started)
