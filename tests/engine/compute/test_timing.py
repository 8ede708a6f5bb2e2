"""A real pass: on its threads, in its formats, without a trace on the network."""

from __future__ import annotations

import pytest
import torch
from compute_fakes import CPU, HALF_PLAIN, LAST, MPS, work
from torch import nn

from maskcls.engine.compute import timing
from maskcls.engine.compute.candidates import Candidate
from maskcls.engine.compute.timing import Stopwatch


def test_a_real_pass_is_timed_on_its_threads_and_changes_nothing() -> None:
    seen: list[tuple[int, bool, str, bool]] = []
    task = work()

    def watch(network: nn.Module, args: tuple[torch.Tensor]) -> None:
        last = args[0].is_contiguous(memory_format=torch.channels_last)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        seen.append((torch.get_num_threads(), network.training, str(dtype), last))
        assert len(args[0]) == 4

    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    task.network.register_forward_pre_hook(watch)
    threads = torch.get_num_threads()
    one, two = Candidate(LAST, 1), Candidate(HALF_PLAIN, 2)
    stopwatch = Stopwatch(task, 4, CPU, train=True)
    times = [stopwatch.first(one), stopwatch.first(two)]
    for candidate in (one, two, one):
        times.append(stopwatch.again(candidate))
        assert torch.get_num_threads() == threads
    assert min(times) > 0
    exact, less = (1, True, "torch.float32", True), (2, True, "torch.bfloat16", False)
    assert seen == [exact, less, exact, less, exact]
    after = task.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert all(p.grad is None for p in task.network.parameters())
    seen.clear()
    Stopwatch(task, 4, CPU, train=False).first(one)
    assert [training for _, training, _, _ in seen] == [False]


def test_a_device_holds_one_candidate_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pass sets it up again, and its first pass, which pays for kernels, is not the one that counts."""
    log: list[str] = []

    class Trial:
        def __init__(self, *args: object, **kwargs: object) -> None:
            log.append("set up")

        def run(self) -> float:
            log.append("pass")
            return 0.5

    monkeypatch.setattr(timing, "Trial", Trial)
    stopwatch = Stopwatch(work(), 4, MPS, train=True)
    stopwatch.first(Candidate(LAST, 1))
    assert stopwatch.again(Candidate(LAST, 1)) == 0.5
    assert stopwatch.trials == {}
    assert log == ["set up", "pass", "set up", "pass", "pass"]
