"""Requests to an ASGI application in this process, without a socket: what comes, and when, is up to the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

BOUNDARY = "xxBOUNDARYxx"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Answered:
    """An answer. read: how many parts of the body the application asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    read: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def call(
    app: Any,
    path: str,
    parts: Iterable[bytes] | Callable[[], Awaitable[bytes | None]] = (),
    *,
    method: str | None = None,
    kind: str | None = None,
    length: int | None = None,
    **headers: str,
) -> Answered:
    """Send one request, and return its answer.

    parts    of the body; or a function that returns the next part, for ever, or None when the client is gone.
    kind     its Content-Type; length: its Content-Length, absent as in a chunked body.
    headers  more headers, with _ for -.
    """
    given = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    given |= {} if kind is None else {"content-type": kind}
    given |= {} if length is None else {"content-length": str(length)}
    left = None if callable(parts) else [*parts]
    endless = parts if callable(parts) else None
    read, sent, ended = 0, [], []

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        if endless is not None:
            part = await endless()
            if part is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": part, "more_body": True}
        if ended:
            await asyncio.Event().wait()  # as a server whose client stays: nothing more comes
        body = left.pop(0) if left else b""
        if not left:
            ended.append(True)
        return {"type": "http.request", "body": body, "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    has_body = left is None or bool(left) or kind is not None
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method or ("POST" if has_body else "GET"),
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answered(sent[0]["status"], answered, body, read)


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[None]:
    """Start an application as a server does, and stop it at the end."""
    asked, told = asyncio.Queue[dict[str, str]](), asyncio.Queue[dict[str, str]]()
    task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, asked.get, told.put))
    await asked.put({"type": "lifespan.startup"})
    assert (await told.get())["type"] == "lifespan.startup.complete"
    try:
        yield
    finally:
        await asked.put({"type": "lifespan.shutdown"})
        assert (await told.get())["type"] == "lifespan.shutdown.complete"
        await task


def form(*files: tuple[str, bytes], fields: Iterable[str] = ()) -> bytes:
    """Return a form of files with these names, and of fields."""
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\nvalue'.encode() for name in fields]
    for name, data in files:
        head = f'Content-Disposition: form-data; name="photos"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
        parts.append(head.encode() + data)
    edge = f"--{BOUNDARY}".encode()
    return b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"
