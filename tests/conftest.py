"""What holds for every test: no update checks, no downloads, no network, Ctrl-C heard.

Imports no torch, so that collecting the tests stays quick.
"""

import os

# Set before any test module is imported; child processes inherit both.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
# Tests run side by side, one process a core, and threads that wait for each other's core burn it meanwhile.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import functools
import gc
import ipaddress
import random
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import file_part
import numpy as np
import pytest
import typer.main
from hypothesis import settings

# Collecting imports a million objects that stay: looking through them again and again takes a sixth of its time.
gc.disable()

# A busy machine is no fault of the code: hypothesis gives up on an example by the clock unless told otherwise.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# Typer builds the parsers of all verbs anew for every command line, in 40 ms: once per process is enough here.
typer.main.get_command = functools.cache(typer.main.get_command)

# A shell starts what it puts in the background deaf to Ctrl-C, and pytest and all it starts inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Take what the imports left, a million objects, out of every later garbage collection: each fold ends with one."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def left_out_of_later_collections() -> Iterator[None]:
    """Take what the tests of a file leave, such as reports and imports, out of the collections of later files.

    Else every fold of a training visits all that the process has gathered so far, which in the end takes longer than
    the fold.
    """
    yield
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Close the browser of tests/browser.py, and let the interpreter clear up as it would have."""
    if browser := sys.modules.get("browser"):
        browser.close_browser()
    gc.enable()
    gc.unfreeze()


def is_local(host: object) -> bool:
    """Say whether a host, as passed to the socket module, is this machine."""
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if host is None or host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def refuse(host: object) -> None:
    """Fail the running test. pytest's failure is no Exception, so a broad handler in a library cannot hide it."""
    pytest.fail(
        f"the test reached for the network: {host!r}. fix: use a local file or a loopback address", pytrace=True
    )


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse names and connections outside this machine. Unix sockets (data loader workers) and loopback stay open.

    Child processes are not covered: they get the two variables above only.
    """
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address[0]):
            refuse(address[0])

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check(self, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_local(host):
            refuse(host)
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' cached photos out of the user's cache folder; child processes inherit the variable."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MASKCLS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waits_for_the_disk() -> Iterator[None]:
    """Wait for no disk: in tests no machine loses its power, and thousands of commits wait 1 to 3 ms each, twice.

    That commits do wait, and in which order, is tested with a function that notes it (tests/files/test_commit.py).
    A closed handle is an error still.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Seed every test alike, so that what it draws does not depend on the tests that ran before it in its process."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def ordinary_arithmetic() -> Iterator[None]:
    """Give denormal numbers back after a test that trained: training flushes them, and hypothesis wants them."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the one way to rewrite tests/engine/golden and tests/errors/golden, and the choice of a part of the files."""
    parser.addoption("--rewrite-golden", action="store_true", help="rewrite golden files; review the diff")
    parser.addoption(
        "--part", default="all", type=file_part.read_part, metavar="I/N", help="one of N parts of the test files"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Leave the files of the other parts unread; a hook of this file alone would not be asked about maskcls/."""
    config.pluginmanager.register(config.getoption("--part"))


@pytest.fixture(scope="session", autouse=True)
def no_progress_by_the_clock() -> None:
    """Print no line only because the machine is slow: tests compare what is printed."""
    from maskcls.show.terminal import progress, waiting

    progress.PLAIN_FIRST_S = progress.PLAIN_EVERY_S = waiting.FIRST_S = 1e6


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw 12 people to train on and 3 to predict, in the contest's layout; tests must not write there."""
    from maskcls.data.drawn.faces import make_faces

    root = tmp_path_factory.mktemp("drawn") / "faces"
    make_faces(root, people=12, seed=0, eval_people=3, size=(48, 36))
    return root


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw half as many people, for `data check`: most of its time goes into the pairs of photos."""
    from maskcls.data.drawn.faces import make_faces

    root = tmp_path_factory.mktemp("few") / "faces"
    make_faces(root, people=6, seed=0, eval_people=2, size=(48, 36))
    return root


@pytest.fixture
def yaml_file(tmp_path: Path) -> Callable[[str], Path]:
    """Write a configuration file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "exp.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
