"""A time limit tells the work to stop, and ends what does not stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from maskcls.errors import Stopped
from maskcls.machine import time_limit
from maskcls.machine.time_limit import TimeLimit, process_start_s

pytestmark = pytest.mark.usefixtures("terminated")
LONG_S = 30.0  # no test waits so long


@pytest.fixture
def terminated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let SIGTERM raise as under the command line, and stop at the limit itself."""
    monkeypatch.setattr(time_limit, "STOP_BEFORE_S", 0.0)

    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, before)


def nothing() -> None:
    raise AssertionError("the work has stopped, and is not ended")


def test_the_work_is_stopped_when_the_time_is_up() -> None:
    limit = TimeLimit(0.1, give_up=nothing)
    with pytest.raises(Stopped), limit:
        time.sleep(LONG_S)

    assert limit.is_up
    assert limit.left_s == 0


def test_work_that_ends_in_time_is_left_alone() -> None:
    limit = TimeLimit(LONG_S, give_up=nothing)
    with limit:
        assert 0 < limit.left_s <= LONG_S

    assert not limit.is_up
    for timer in [one for one in threading.enumerate() if isinstance(one, threading.Timer)]:
        timer.join(LONG_S)
        assert not timer.is_alive()


def test_no_limit_has_all_the_time() -> None:
    with TimeLimit(float("inf"), give_up=nothing) as limit:
        assert limit.left_s == float("inf")
    assert not limit.is_up


def test_work_that_does_not_stop_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "END_AFTER_S", 0.05)
    signal.signal(signal.SIGTERM, lambda *_: None)
    ended = threading.Event()

    with TimeLimit(0.05, give_up=ended.set):
        assert ended.wait(LONG_S)


def test_time_before_the_command_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = TimeLimit(100, began_s=time.monotonic() - 60, give_up=nothing)

    assert 60 <= limit.passed_s < 60 + LONG_S
    assert limit.left_s == pytest.approx(40, abs=LONG_S)


def test_a_process_knows_when_it_started() -> None:
    assert process_start_s() <= time.monotonic()
    assert process_start_s() == pytest.approx(process_start_s(), abs=1.0)


def test_a_process_whose_time_was_up_ends_without_closing_its_libraries() -> None:
    program = """
import atexit, signal, time
from maskcls.errors import Stopped
from maskcls.machine import time_limit
atexit.register(lambda: print("closed"))
def stop(*_): raise Stopped
signal.signal(signal.SIGTERM, stop)
time_limit.end_if_late(1)  # nothing was up yet
time_limit.STOP_BEFORE_S = 0.0
try:
    with time_limit.TimeLimit(0.05, give_up=print):
        time.sleep(30)
except Stopped:
    print("stopped")
time_limit.end_if_late(6)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (6, "stopped\n")
