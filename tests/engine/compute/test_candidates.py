"""What can be chosen: what the configuration leaves open, and what the machine can do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from compute_fakes import AUTO, CPU, CUDA, HALF_LAST, HALF_PLAIN, LAST, MPS, PLAIN
from tiny import tiny

from maskcls.engine.compute import candidates
from maskcls.engine.compute.candidates import executions, thread_counts
from maskcls.engine.compute.plan import Execution


@pytest.fixture(autouse=True)
def bf16_is_known(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the same candidates on every machine, except where the processor itself is asked."""
    if "processor" not in request.node.name and "nothing_is_known" not in request.node.name:
        monkeypatch.setattr(candidates, "processor_has_bf16", lambda: True)


@pytest.mark.parametrize(
    ("words", "device", "want"),
    [
        ((), CPU, [LAST]),  # the tiny recipe leaves nothing open
        (("device.precision=bf16", "device.memory_format=contiguous"), CPU, [HALF_PLAIN]),
        (("device.memory_format=auto",), CPU, [LAST, PLAIN]),
        (("device.precision=auto",), CPU, [LAST, HALF_LAST]),
        (AUTO, CPU, [LAST, PLAIN, HALF_LAST, HALF_PLAIN]),
        (AUTO, MPS, [LAST, PLAIN]),
        (("device.precision=fp16",), CUDA, [Execution("fp16", "channels_last")]),
    ],
)
def test_what_is_asked_for_is_tried_alone(words: tuple[str, ...], device: torch.device, want: list[Execution]) -> None:
    assert executions(tiny(*words), device) == want


@pytest.mark.parametrize("supported", [True, False])
def test_a_gpu_without_bf16_is_not_tried_with_it(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    found = executions(tiny(*AUTO), CUDA)
    assert found == [LAST, PLAIN, HALF_LAST, HALF_PLAIN][: 4 if supported else 2]


@pytest.mark.parametrize(
    ("cores", "jobs", "processes", "words", "want"),
    [
        (8, 5, 1, (), [8, 4, 1]),  # all, half, and the share of each of five folds
        (8, 2, 1, (), [8, 4]),
        (8, 1, 1, (), [8, 4]),
        (2, 5, 1, (), [2, 1]),
        (3, 1, 1, (), [3]),
        (1, 5, 1, (), [1]),
        (8, 1, 4, (), [2]),  # each process has its part of the cores
        (2, 1, 4, (), [1]),
        (8, 5, 1, ("train.fold_jobs=2",), [4]),
        (8, 2, 1, ("train.fold_jobs=4",), [4]),  # there are but two folds
        (8, 5, 1, ("train.fold_jobs=1",), [8]),
        (8, 5, 1, ("device.threads=3",), [3]),
        (8, 5, 1, ("device.threads=3", "train.fold_jobs=2"), [3]),
    ],
)
def test_numbers_of_threads(
    monkeypatch: pytest.MonkeyPatch, cores: int, jobs: int, processes: int, words: tuple[str, ...], want: list[int]
) -> None:
    monkeypatch.setattr(candidates, "cores", lambda: cores)
    assert thread_counts(tiny("device.threads=auto", *words), CPU, jobs, processes) == want


def test_beside_a_gpu_the_threads_are_left_as_they_are() -> None:
    assert thread_counts(tiny("device.threads=auto"), CUDA, 5, 1) == [torch.get_num_threads()]


@pytest.mark.parametrize(
    ("flags", "has"),
    [("avx2 avx512f", False), ("avx512f avx512_bf16", True), ("avx2 amx_bf16 amx_tile", True), ("asimd bf16", True)],
)
def test_bf16_is_tried_where_the_processor_has_it(flags: str, has: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates.Path, "read_text", lambda _: f"processor : 0\nflags : {flags}\n")
    assert candidates.processor_has_bf16() is has
    tried = {way.precision for way in candidates.executions(tiny("device.precision=auto"), CPU)}
    assert tried == ({"fp32", "bf16"} if has else {"fp32"})


def test_bf16_is_tried_where_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(candidates.Path, "read_text", none)
    assert candidates.processor_has_bf16()
