"""Beats of processes, one after the other, on a store that is a dictionary."""

from __future__ import annotations

from collections import Counter

import pytest

from maskcls.engine.processes import heartbeat
from maskcls.engine.processes.heartbeat import MOST_BEATS, Heartbeat


class Store:
    """What torch's store does, in one process."""

    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self.silent = False

    def add(self, key: str, amount: int) -> int:
        if self.silent:
            raise RuntimeError("the connection is lost")
        self.numbers[key] += amount
        return self.numbers[key]

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        if self.texts.get(key, "") == expected:
            self.texts[key] = desired
        return self.texts[key].encode()


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    numbers: list[int] = []
    monkeypatch.setattr(heartbeat, "end_sibling", numbers.append)
    return numbers


def three(store: Store) -> list[Heartbeat]:
    return [Heartbeat(store, number, 3, end=pytest.fail) for number in range(3)]


def test_processes_that_beat_live_on(killed: list[int]) -> None:
    processes = three(Store())
    for _ in range(3 * MOST_BEATS):
        assert [one.beat() for one in processes] == [""] * 3
    assert killed == []


def test_a_process_that_hangs_is_named_by_all_and_killed(killed: list[int]) -> None:
    first, second, third = three(Store())
    assert [one.beat() for one in (first, second, third)] == [""] * 3
    beats = 0
    while not (reason := first.beat()):
        assert third.beat() == ""  # it watches the first, which beats
        beats += 1
    assert beats == MOST_BEATS  # the first beat after the last of the second still heard that one
    assert reason == "process 1 has not answered for 20 s"
    assert third.beat() == reason
    assert killed == [1]


def test_the_first_error_is_told_to_all() -> None:
    first, second, third = three(Store())
    third.tell("error[data] images cannot be read")
    first.tell("error[resource] another one")
    told = "process 2: error[data] images cannot be read"
    assert [one.beat() for one in (first, second)] == [told, told]


def test_nobody_waits_for_a_process_that_has_left(killed: list[int]) -> None:
    first, second, third = three(Store())
    second.leave()
    for _ in range(2 * MOST_BEATS):
        assert [first.beat(), third.beat()] == ["", ""]
    assert first.next == 2
    third.leave()
    for _ in range(2 * MOST_BEATS):
        assert first.beat() == ""
    assert killed == []


def test_a_store_that_does_not_answer_ends_the_process() -> None:
    store = Store()
    first, second, _ = three(store)
    store.silent = True
    assert first.beat() == "the store of the launcher does not answer"
    second.leave()  # at the end of the launcher, which is no error
    assert second.beat() == ""
