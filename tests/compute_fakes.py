"""A small workload, and a stopwatch with hand-made seconds in place of real passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from photos import small_network

from maskcls.engine.compute import machine_load, measure, timing
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.plan import Execution

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
LAST, PLAIN = Execution("fp32", "channels_last"), Execution("fp32", "contiguous")
HALF_LAST, HALF_PLAIN = Execution("bf16", "channels_last"), Execution("bf16", "contiguous")
AUTO = ("device.precision=auto", "device.memory_format=auto", "device.threads=auto")
LONG = 10**6  # images of a training that has time for every pass


def work(**changes: Any) -> Workload:
    """Return a small task: 32 images of 24 x 18 per step, two folds."""
    network = small_network({"mask": 3})
    made = Workload("small", network, (24, 18), batch=32, images=LONG, predicted=LONG, jobs=2)
    return replace(made, **changes)


Rounds = Mapping[Candidate, float | Sequence[float]]  # seconds of a pass: always the same, or one after the other


class FakeTimes:
    """Stands in for `timing.Stopwatch`; seconds are of a pass of the real batch, whatever the batch.

    asked  every pass so far: (candidate, batch, training).
    """

    def __init__(self, train: Rounds, infer: Rounds | None = None) -> None:
        self.train, self.infer = train, train if infer is None else infer
        self.asked: list[tuple[Candidate, int, bool]] = []
        self.passes: dict[tuple[Candidate, int, bool], int] = {}

    def candidates(self, *, train: bool) -> list[Candidate]:
        """Return what was timed in training or prediction, in the order of the first passes."""
        return list(dict.fromkeys(one for one, _, trained in self.asked if trained == train))

    def batches(self, *, train: bool) -> set[int]:
        """Return the batches that were timed in training or prediction."""
        return {batch for _, batch, trained in self.asked if trained == train}

    def stopwatch(self, workload: Workload, batch: int, device: torch.device, *, train: bool) -> FakeStopwatch:
        """Take the place of the class."""
        return FakeStopwatch(self, batch, train)


class FakeStopwatch:
    """One stopwatch: its first pass takes as long as any other."""

    def __init__(self, times: FakeTimes, batch: int, train: bool) -> None:
        self.times, self.batch, self.train = times, batch, train

    def first(self, candidate: Candidate) -> float:
        """Return the seconds of the first round without using it up."""
        self.times.asked.append((candidate, self.batch, self.train))
        return self._seconds(candidate, 0)

    def again(self, candidate: Candidate) -> float:
        """Return the seconds of the next round."""
        self.times.asked.append((candidate, self.batch, self.train))
        key = (candidate, self.batch, self.train)
        index = self.times.passes.get(key, 0)
        self.times.passes[key] = index + 1
        return self._seconds(candidate, index)

    def _seconds(self, candidate: Candidate, index: int) -> float:
        found = (self.times.train if self.train else self.times.infer)[candidate]
        return found if isinstance(found, int | float) else found[index % len(found)]


def timed(monkeypatch: pytest.MonkeyPatch, train: Rounds, infer: Rounds | None = None) -> FakeTimes:
    """Have the passes take these seconds, on a machine that nobody else uses."""
    times = FakeTimes(train, infer)
    monkeypatch.setattr(timing, "Stopwatch", times.stopwatch)
    quiet(monkeypatch)
    return times


def quiet(monkeypatch: pytest.MonkeyPatch, share: float = 0.0) -> None:
    """Have other processes use this share of the cores."""
    monkeypatch.setattr(measure, "others_share", lambda before, after: share)
    assert machine_load.BUSY_SHARE == 0.1


def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where anything is timed."""

    def refuse(*args: object, **kwargs: object) -> None:
        pytest.fail("something was timed")

    monkeypatch.setattr(timing, "Stopwatch", refuse)
