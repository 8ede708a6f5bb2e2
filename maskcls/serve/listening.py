"""The socket, uvicorn and the signals: from the start of listening to the end of the last answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from maskcls.errors import ResourceError
from maskcls.serve.limits import MOST_CONNECTIONS, ServerLimits

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; port 0: any free one. ResourceError if that is not possible."""
    bound = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()  # otherwise a second server could bind the address too, and fail only when its model is loaded
    except (OSError, UnicodeError) as error:
        if bound is not None:
            bound.close()
        got = getattr(error, "strerror", None) or str(error)
        fix = "choose another --port or --host"
        raise ResourceError("cannot listen on this address", where=f"{host}:{port}", got=got, fix=fix) from None
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Tell whether only this machine can reach a bound socket."""
    host = str(bound.getsockname()[0])
    return host.startswith("127.") or host == "::1"


def url_of(bound: socket.socket) -> str:
    """Return the address of a bound socket, such as `http://127.0.0.1:8000`."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(
    app: ASGIApp,
    bound: socket.socket,
    limits: ServerLimits,
    *,
    on_start: Callable[[], None],
    on_stop: Callable[[], None],
    failure: Callable[[], BaseException | None],
) -> None:
    """Answer requests until SIGINT or SIGTERM; requests that were accepted before are answered, within `stop_s`.

    on_start  called when the socket listens; on_stop: at the signal. A second SIGINT ends without waiting.
    failure   an error, when nothing can be answered any more: the server stops and raises it.
    """
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # its warnings quote what clients send
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=patient_protocol(limits.head_s),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(limits.stop_s)),
    )
    asyncio.run(_StoppableServer(config, on_start, on_stop, failure).serve(sockets=[bound]))
    if (error := failure()) is not None:
        raise error


class _StoppableServer(uvicorn.Server):
    """uvicorn's server, which says when it listens and stops; a signal to stop is an ordinary end."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_start: Callable[[], None],
        on_stop: Callable[[], None],
        failure: Callable[[], BaseException | None],
    ) -> None:
        super().__init__(config)
        self.on_start, self.on_stop, self.failure = on_start, on_stop, failure

    async def on_tick(self, counter: int) -> bool:
        return self.failure() is not None or await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.on_stop()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again when it has stopped, so that the exit code is that of a killed process.
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def patient_protocol(head_s: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with a limit of time for the head of a request, which it lacks.

    Otherwise a client that sends nothing, or a head byte by byte, would hold its connection for ever.
    """

    class Patient(H11Protocol):
        head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._await_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_work() and self.head_timer is not None:
                self.head_timer.cancel()
                self.head_timer = None
            elif not self._in_work() and self.head_timer is None:
                self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            if self.head_timer is not None:
                self.head_timer.cancel()
            super().connection_lost(exc)

        def _in_work(self) -> bool:
            return bool(self.cycle) and not self.cycle.response_complete  # None before the first request

        def _await_head(self) -> None:
            self.head_timer = self.loop.call_later(head_s, self._head_is_late)

        def _head_is_late(self) -> None:
            if not self._in_work():
                self.transport.close()

    return Patient
