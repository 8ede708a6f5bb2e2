"""A real server in a process of its own: stopping, slow clients, answers that reach a client that still sends."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from asgi_calls import FORM, form
from fake_photo_model import png
from photo_server import PhotoServer, photo_server
from processes import PATIENCE_S

from maskcls.errors import ResourceError
from maskcls.serve.listening import bind, is_loopback, url_of


@contextmanager
def connected(server: PhotoServer) -> Iterator[http.client.HTTPConnection]:
    """Yield a connection to a server, and close it."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)) as connection:
        yield connection


def get(server: PhotoServer, path: str) -> tuple[int, str]:
    with connected(server) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def queue_length(server: PhotoServer) -> float:
    return float(get(server, "/metrics")[1].partition("\nmaskcls_queue_photos ")[2].split()[0])


def post_three(server: PhotoServer, found: list[int]) -> None:
    with connected(server) as connection:
        connection.request("POST", "/predict", form(*[("a", png(1))] * 3), {"Content-Type": FORM})
        answer = connection.getresponse()
        answer.read()
        found.append(answer.status)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_accepted_requests_are_answered_before_the_end(number: signal.Signals) -> None:
    found: list[int] = []
    with photo_server(hold_s=0.25, batch=1, wait_ms=0) as server:
        thread = threading.Thread(target=post_three, args=(server, found))
        thread.start()
        while not queue_length(server) and not found:
            time.sleep(0.01)
        server.process.send_signal(number)
        thread.join(PATIENCE_S)
        assert server.process.wait(PATIENCE_S) == 0
        assert server.process.stdout is not None
        assert server.process.stdout.read() == "stopped\n"
        with pytest.raises(OSError, match="refused"):
            get(server, "/health")
    assert found == [200]


@pytest.fixture(scope="module")
def impatient() -> Iterator[PhotoServer]:
    """Return a server that waits for nobody longer than half a second."""
    with photo_server(head_s=0.5, idle_s=0.5, body_s=1.0, max_megabytes=1) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize(
    "head", [b"", b"POST /predict HTTP/1.1\r\nHost: loc", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGE"]
)
def test_a_head_that_does_not_come_ends_the_connection(impatient: PhotoServer, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE_S) as client:
        client.sendall(head)
        received = b""
        while part := client.recv(65536):  # ends when the server closes
            received += part
    assert received.count(b"HTTP/1.1 200 OK") == head.count(b"\r\n\r\n")


@pytest.mark.slow
def test_a_head_byte_by_byte_ends_the_connection(impatient: PhotoServer) -> None:
    def drip(client: socket.socket) -> None:
        for _ in range(2000):
            client.sendall(b"x")
            time.sleep(0.01)

    with (
        socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE_S) as client,
        pytest.raises(OSError, match=r"reset|pipe"),
    ):
        drip(client)


@pytest.mark.slow
def test_a_body_that_drips_is_answered_with_408(impatient: PhotoServer) -> None:
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE_S) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
        )
        client.settimeout(0.1)
        received = b""
        while b"\r\n\r\n" not in received:
            client.sendall(b"x")
            try:
                received += client.recv(65536)
            except TimeoutError:
                continue
    assert received.startswith(b"HTTP/1.1 408 ")


@pytest.mark.slow
def test_a_client_that_still_sends_gets_the_answer_that_it_is_too_much(impatient: PhotoServer) -> None:
    for chunked in (False, True):
        headers = {"Content-Type": "image/png"} | (
            {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": "6000000"}
        )
        with connected(impatient) as connection:
            body = (bytes(100_000) for _ in range(60))
            connection.request("POST", "/predict", body, headers, encode_chunked=chunked)
            assert connection.getresponse().status == 413
    assert get(impatient, "/health")[0] == 200


@pytest.mark.slow
def test_one_connection_serves_several_requests(impatient: PhotoServer) -> None:
    with connected(impatient) as connection:
        for joint in range(3):
            connection.request("POST", "/predict", png(joint), {"Content-Type": "image/png"})
            assert f'"index":{joint},'.encode() in connection.getresponse().read()


@pytest.mark.slow
def test_a_client_that_goes_gives_its_places_back() -> None:
    with photo_server(hold_s=60, batch=1, wait_ms=0) as server:  # the first photo is not done meanwhile
        with connected(server) as connection:
            connection.request("POST", "/predict", form(*[("a", png(1))] * 20), {"Content-Type": FORM})
            while queue_length(server) != 20:
                time.sleep(0.01)
        while queue_length(server):
            time.sleep(0.01)
        assert 'result="predicted"' not in get(server, "/metrics")[1]


@pytest.mark.slow
def test_a_model_that_fails_ends_the_server_with_its_error() -> None:
    with photo_server(fails=True, stop_s=1) as server:
        assert server.process.wait(PATIENCE_S) == 1
        assert server.process.stdout is not None
        assert "AssertionError: a fault to be seen" in server.process.stdout.read()


def test_an_address_that_is_taken_is_named() -> None:
    with bind("127.0.0.1", 0) as bound:
        assert is_loopback(bound)
        port = bound.getsockname()[1]
        assert url_of(bound) == f"http://127.0.0.1:{port}"
        with pytest.raises(ResourceError, match=f"127.0.0.1:{port}"):
            bind("127.0.0.1", port)  # also while the first server still loads its model
    with socket.socket() as bound:
        bound.bind(("0.0.0.0", 0))
        assert not is_loopback(bound)
