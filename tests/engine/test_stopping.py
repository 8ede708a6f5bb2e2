"""Signals during a training: held back until it is safe, never lost, and never held for long."""

# ruff: noqa: PT012 what is tested is a block that a signal ends

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from maskcls import cli
from maskcls.engine import stopping
from maskcls.engine.stopping import HeldSignals
from maskcls.errors import Stopped


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Handle SIGTERM as the command line does, and put everything back."""
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    signal.signal(signal.SIGTERM, cli._terminate)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


KINDS = [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Stopped)]


def handled() -> list[object]:
    return [signal.getsignal(number) for number in stopping.SIGNALS]


@pytest.mark.parametrize(("number", "raised"), KINDS)
def test_a_signal_is_held_until_the_block_acts(number: signal.Signals, raised: type[BaseException]) -> None:
    before, reached = handled(), []
    with pytest.raises(raised), HeldSignals() as held:
        assert held.received is None
        os.kill(os.getpid(), number)
        reached.append("after the signal")
        assert held.received == number
        held.act()
        reached.append("after the act")
    assert reached == ["after the signal"]
    assert not held.at_rest
    assert handled() == before


@pytest.mark.parametrize(("number", "raised"), KINDS)
def test_a_signal_is_not_lost_at_the_end_of_the_block(number: signal.Signals, raised: type[BaseException]) -> None:
    with pytest.raises(raised), HeldSignals():
        os.kill(os.getpid(), number)


def test_an_error_of_the_block_comes_before_the_signal() -> None:
    with pytest.raises(ValueError, match="the block's own"), HeldSignals():
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("the block's own")


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize(("number", "raised"), KINDS)
def test_it_acts_at_once_where_nothing_changes(
    number: signal.Signals, raised: type[BaseException], earlier: bool
) -> None:
    """Also one that came shortly before such a place."""
    reached = []
    with pytest.raises(raised), HeldSignals() as held:
        if earlier:
            os.kill(os.getpid(), number)
        with held.let_through():
            reached.append("inside")
            os.kill(os.getpid(), number)
            reached.append("after the signal")
    assert reached == ([] if earlier else ["inside"])
    assert held.at_rest


def test_after_such_a_place_it_is_held_again() -> None:
    with pytest.raises(KeyboardInterrupt), HeldSignals() as held:
        with held.let_through():
            pass
        os.kill(os.getpid(), signal.SIGINT)
        assert held.received == signal.SIGINT
    assert not held.at_rest


def test_the_same_signal_sent_twice_at_once_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by `timeout`, which signals its child and then its group; a later one does not wait."""
    now = [100.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    reached = []
    with pytest.raises(KeyboardInterrupt), HeldSignals() as held:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        reached.append("thrice")
        now[0] += stopping.AGAIN_S
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("never")
    assert reached == ["thrice"]
    assert not held.at_rest


def test_a_second_sigterm_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of a fold gets one from the scheduler and one from its parent, at any distance."""
    now = [100.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    reached = []
    with pytest.raises(Stopped), HeldSignals():
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            now[0] += 2 * stopping.AGAIN_S
        reached.append("thrice")
    assert reached == ["thrice"]


def test_a_step_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait of the main thread ends when the time for the step is over; nothing is at rest then."""
    monkeypatch.setattr(stopping, "GRACE_S", 0.05)
    with pytest.raises(Stopped), HeldSignals() as held:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(60)
    assert not held.at_rest
    assert stopping.GRACE_S < 60


def test_the_time_for_a_step_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "GRACE_S", 0.05)
    with pytest.raises(Stopped), HeldSignals() as held:
        os.kill(os.getpid(), signal.SIGTERM)
        held.act()
    time.sleep(0.1)  # a signal now would end the test


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with HeldSignals() as held:
        os.kill(os.getpid(), signal.SIGINT)
        assert held.received is None


def test_a_handler_that_goes_on_is_not_called_again() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    with HeldSignals() as held:
        os.kill(os.getpid(), signal.SIGTERM)
        held.act()
        assert held.received is None
    assert heard == [signal.SIGTERM]


def test_outside_the_main_thread_nothing_is_held() -> None:
    before, found = handled(), list[list[object]]()

    def work() -> None:
        with HeldSignals():
            found.append(handled())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_where_another_process_was_told_it_ends_like_sigterm() -> None:
    with pytest.raises(Stopped), HeldSignals() as held:
        held.act()
