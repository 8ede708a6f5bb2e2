"""How many folds are trained at the same time, by hand-made speeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from compute_fakes import CPU, CUDA, LAST, PLAIN, timed, work
from tiny import tiny

from maskcls.engine.compute import memory, side_by_side
from maskcls.engine.compute.candidates import Candidate
from maskcls.engine.compute.measure import Measurement


def measured(speeds: Mapping[Candidate, float | Sequence[float]]) -> Measurement:
    """Return a measurement of images/s: one stage of three rounds, the first candidate the best."""
    rounds = {c: [32 / v for v in ([s] * 3 if isinstance(s, float) else s)] for c, s in speeds.items()}
    return Measurement((rounds,), 32)


def chosen_jobs(
    words: tuple[str, ...], speeds: Mapping[Candidate, float | Sequence[float]], processes: int = 1, **changes: Any
) -> Any:
    task = work(**{"jobs": 5, "images": 60_000, **changes})
    return side_by_side.fold_jobs(task, tiny(*words), CPU, measured(speeds), task.batch, processes)


def test_folds_at_the_same_time_where_that_is_clearly_faster(fixed_cores: None) -> None:
    """8 cores. In turn, five folds cost 5 / 100 = 0.05 per training image; at the same time 1 / (v * 0.9)."""
    all_cores, half, one = (Candidate(LAST, threads) for threads in (8, 4, 1))
    slow = {Candidate(PLAIN, 1): 10.0}  # another execution has no say
    assert chosen_jobs((), {all_cores: 100.0, half: 90.0, one: 24.5} | slow) == (5, 1)  # 0.0454, faster by 1.1025
    assert chosen_jobs((), {all_cores: 100.0, half: 90.0, one: 24.4} | slow) == (1, 8)  # by 1.098
    # Two at a time on 4 threads: three turns, 3 / (74 * 0.9) = 0.0450 against 0.05, and at 73 they are 0.0457.
    assert chosen_jobs((), {all_cores: 100.0, half: 74.0}) == (2, 4)
    assert chosen_jobs((), {all_cores: 100.0, half: 73.0}) == (1, 8)


def test_one_round_that_speaks_against_it_keeps_the_folds_in_turn(fixed_cores: None) -> None:
    all_cores, one = Candidate(LAST, 8), Candidate(LAST, 1)
    assert chosen_jobs((), {all_cores: 100.0, one: [25.0, 25.0, 24.5]}) == (5, 1)
    assert chosen_jobs((), {all_cores: 100.0, one: [25.0, 25.0, 24.0]}) == (1, 8)
    assert chosen_jobs((), {all_cores: 100.0, one: [25.0, 25.0]}) == (1, 8)


def test_the_best_number_of_threads_is_what_folds_in_turn_have(fixed_cores: None) -> None:
    assert chosen_jobs((), {Candidate(LAST, 8): 90.0, Candidate(LAST, 4): 100.0, Candidate(LAST, 1): 22.0}) == (1, 4)


def test_a_short_training_is_not_worth_a_process(fixed_cores: None) -> None:
    speeds = {Candidate(LAST, 8): 100.0, Candidate(LAST, 1): 90.0}
    assert chosen_jobs((), speeds, images=5_999) == (1, 8)  # a second below a minute
    assert chosen_jobs((), speeds, images=6_001) == (5, 1)


def test_the_number_of_jobs_as_asked(fixed_cores: None) -> None:
    speeds = {Candidate(LAST, 4): 100.0}
    assert chosen_jobs(("train.fold_jobs=2",), speeds, images=1) == (2, 4)
    assert chosen_jobs(("train.fold_jobs=9",), speeds, jobs=3) == (3, 4)
    assert chosen_jobs(("train.fold_jobs=1",), {Candidate(LAST, 8): 100.0, Candidate(LAST, 1): 99.0}) == (1, 8)


@pytest.mark.parametrize("words", [(), ("train.fold_jobs=2",)])
def test_neither_one_fold_nor_several_processes_are_shared_out(fixed_cores: None, words: tuple[str, ...]) -> None:
    speeds = {Candidate(LAST, 8): 100.0, Candidate(LAST, 1): 99.0}
    assert chosen_jobs(words, speeds, processes=2) == (1, 8)
    assert chosen_jobs(words, speeds, jobs=1) == (1, 8)


@pytest.mark.parametrize(
    ("twice", "free", "want"),
    [
        (1.2, 100, 3),  # twice the images for a fifth more time: room for another, at most three
        (1.3, 100, 1),
        ([1.2, 1.3, 1.2], 100, 1),  # in every round
        (1.2, 4, 2),  # 0.6 of 4 is 2.4 times the peak of 1
        (1.2, 1, 1),
    ],
)
def test_folds_share_a_gpu_that_a_step_leaves_idle(
    monkeypatch: pytest.MonkeyPatch, twice: float | list[float], free: int, want: int
) -> None:
    best = Candidate(LAST, 1)
    times = timed(monkeypatch, {best: 1.0})
    real = times.stopwatch

    def stopwatch(workload: Any, batch: int, device: torch.device, *, train: bool) -> Any:
        times.train = {best: 1.0}
        made = real(workload, batch, device, train=train)
        if batch == 64:
            made.times = type(times)({best: twice})
        return made

    monkeypatch.setattr(side_by_side.timing, "Stopwatch", stopwatch)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, free))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 1)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    task = work(jobs=5, images=10**6)
    assert side_by_side.fold_jobs(task, tiny(), CUDA, measured({best: 100.0}), 32, 1) == (want, 1)


@pytest.mark.parametrize(("free", "want"), [(5, 5), (4.99, 4), (2.5, 2), (1.9, 1), (0.5, 1)])
def test_no_more_folds_at_a_time_than_there_is_memory_for(
    fixed_cores: None, monkeypatch: pytest.MonkeyPatch, free: float, want: int
) -> None:
    """Eight cores, one thread as fast as all of them: five folds at a time, if each finds room for its step."""
    monkeypatch.setattr(memory, "kept_bytes", lambda work, batch: 100 + 10 * batch)
    monkeypatch.setattr(side_by_side, "available_bytes", lambda: 2 * free * (100 + 10 * 32))
    monkeypatch.setattr(side_by_side, "MEMORY_SHARE", 0.5)
    assert chosen_jobs((), {Candidate(LAST, 8): 100.0, Candidate(LAST, 1): 99.0})[0] == want
