"""When a training is saved within an epoch, and what happens around a save."""

# ruff: noqa: PT012 what is tested is a block that a signal ends

from __future__ import annotations

import math
import signal
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from maskcls.engine import saving
from maskcls.engine.fit import SavePoint
from maskcls.engine.saving import SaveClock, Saves, agreed
from maskcls.errors import DivergedError
from maskcls.rundir import FoldDir


def test_it_is_time_after_so_many_minutes_from_the_end_of_the_last_save() -> None:
    now = [500.0]
    clock = SaveClock(2, lambda: now[0])
    for seconds, due in ((119.9, False), (0.1, True), (100, True)):
        now[0] += seconds
        assert clock.due == due
    with clock.saving():
        now[0] += 1  # less than a hundredth of the two minutes
    for seconds, due in ((119.9, False), (0.1, True)):
        now[0] += seconds
        assert clock.due == due


def test_a_save_waits_for_a_hundred_times_its_own_time() -> None:
    now = [0.0]
    clock = SaveClock(0.5, lambda: now[0])
    with clock.saving():
        now[0] += 3
    for seconds, due in ((30, False), (269.5, False), (0.5, True)):
        now[0] += seconds
        assert clock.due == due


@pytest.mark.parametrize("every", [0, 0.0, None])
def test_without_minutes_it_is_never_time(every: float | None) -> None:
    now = [0.0]
    clock = SaveClock(every, lambda: now[0])
    now[0] = math.inf
    assert not clock.due


def test_the_time_of_day_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SaveClock(10)
    monkeypatch.setattr(saving.time, "time", lambda: 1e12)
    assert not clock.due
    later = saving.time.monotonic() + 600
    monkeypatch.setattr(saving.time, "time", lambda: -1e12)
    clock.clock = lambda: later
    assert clock.due


class Processes:
    """Stands in for an accelerator of two processes; the other one wants `theirs`."""

    num_processes, device = 2, torch.device("cpu")

    def __init__(self, *, main: bool, theirs: tuple[bool, bool]) -> None:
        self.is_main_process, self.theirs = main, theirs

    def reduce(self, mine: torch.Tensor, reduction: str) -> torch.Tensor:
        assert reduction == "sum"
        return mine + torch.tensor(self.theirs, dtype=mine.dtype)


@pytest.mark.parametrize("save", [True, False])
@pytest.mark.parametrize("stop", [True, False])
def test_processes_agree(save: bool, stop: bool) -> None:
    """The clock of the first process decides on a save, a signal to any process on the end."""
    first: Any = Processes(main=True, theirs=(False, False))
    other: Any = Processes(main=False, theirs=(save, stop))
    assert agreed(first, save=save, stop=stop) == (save, stop)
    assert agreed(other, save=not save, stop=False) == (save, stop)
    assert agreed(other, save=False, stop=True) == (save, True)


@dataclass
class Held:
    """Stands in for held signals."""

    received: int | None = None
    at_rest: bool = False
    acted: int = 0

    def act(self) -> None:
        self.acted += 1


@dataclass
class Saved:
    """Saves of a session with one weight; `written` has the steps that were saved."""

    signals: Held = field(default_factory=Held)
    written: list[int] = field(default_factory=list)
    weight: float = 1.0
    now: float = 0.0

    def saves(self, monkeypatch: pytest.MonkeyPatch) -> Saves:
        network = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(network.weight, self.weight)
        process = SimpleNamespace(num_processes=1, is_main_process=True, wait_for_everyone=lambda: None)
        session: Any = SimpleNamespace(network=network, accelerator=process, epoch=1, step=7)
        monkeypatch.setattr(saving, "session_state", lambda session, so_far: ({}, {"step": so_far}))
        monkeypatch.setattr(
            saving, "save_state", lambda path, tensors, progress, *, root: self.written.append(progress["step"])
        )
        made = Saves(session, FoldDir(Path("fold0")), 10, self.signals)  # type: ignore[arg-type]
        made.clock = SaveClock(10, lambda: self.now)
        return made


def point(step: int) -> SavePoint:
    return SavePoint(lambda: step)  # type: ignore[arg-type,return-value]


def test_a_step_is_saved_when_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = Saved()
    saves = saved.saves(monkeypatch)
    for step in range(1, 8):
        saved.now += 250
        saves.step_done(point(step))
    assert (saved.written, saved.signals.acted) == ([3, 6], 0)
    with saves.epoch_done():
        saved.now += 250
    saves.step_done(point(8))
    assert saved.written == [3, 6]  # the end of an epoch is a save too


def test_a_stopped_step_is_saved_before_it_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = Saved(Held(signal.SIGTERM))
    saves = saved.saves(monkeypatch)
    saves.step_done(point(1))
    assert (saved.written, saved.signals.acted) == ([1], 1)
    with saves.epoch_done():
        assert saved.signals.acted == 1
    assert (saved.written, saved.signals.acted) == ([1], 2)


@pytest.mark.parametrize("at_rest", [True, False])
def test_what_a_signal_ends_at_rest_is_saved(monkeypatch: pytest.MonkeyPatch, at_rest: bool) -> None:
    saved = Saved()
    saves = saved.saves(monkeypatch)
    with pytest.raises(KeyboardInterrupt), saves.kept_when_stopped():
        saves.step_done(point(4))
        saved.signals.at_rest = at_rest
        raise KeyboardInterrupt
    assert saved.written == ([4] if at_rest else [])


def test_before_the_first_step_of_an_epoch_there_is_nothing_to_save(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = Saved()
    saves = saved.saves(monkeypatch)
    with pytest.raises(KeyboardInterrupt), saves.kept_when_stopped():
        saves.step_done(point(4))
        with saves.epoch_done():
            pass
        saved.signals.at_rest = True
        raise KeyboardInterrupt
    assert saved.written == []


@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_not_saved(monkeypatch: pytest.MonkeyPatch, weight: float) -> None:
    saved = Saved(Held(signal.SIGTERM), weight=weight)
    with pytest.raises(DivergedError, match="a weight is not finite") as caught:
        saved.saves(monkeypatch).step_done(point(1))
    assert (caught.value.where, caught.value.offenders) == ("epoch 2, step 7", ("weight",))
    assert (saved.written, saved.signals.acted) == ([], 0)
