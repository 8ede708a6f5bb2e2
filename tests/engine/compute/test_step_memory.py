"""What fits into memory: pieces of a step, the largest batch, folds that share a machine or a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from compute_fakes import CPU, CUDA, HALF_LAST, LAST, work
from tiny import tiny

from maskcls.engine.compute import free_memory, memory, timing
from maskcls.engine.compute.candidates import Candidate, Workload
from maskcls.engine.compute.plan import Execution
from maskcls.errors import ResourceError


def test_what_a_step_keeps_grows_with_its_images() -> None:
    """One convolution, a norm, a rectifier, a mean: by hand what each image keeps for the way back, at the least."""
    few, more, most = (memory.kept_bytes(work(), n) for n in (2, 4, 8))
    assert most - more == 2 * (more - few)
    image = 3 * 24 * 18 * 4
    after = 4 * 11 * 8 * 4  # a 3 x 3 convolution of stride 2
    assert (more - few) / 2 >= image + after


def kept(monkeypatch: pytest.MonkeyPatch, *, base: int, image: int, free: float) -> None:
    monkeypatch.setattr(memory, "kept_bytes", lambda work, batch: base + image * batch)
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    monkeypatch.setattr(memory, "MEMORY_SHARE", 0.5)


@pytest.mark.parametrize(
    ("free", "processes", "want"),
    [
        (2 * (100 + 10 * 32), 1, 1),
        (2 * (100 + 10 * 32) - 1, 1, 2),
        (2 * (100 + 10 * 8), 1, 4),
        (2 * 2 * (100 + 10 * 8), 2, 2),  # a process has half of the step, and half of the memory
        (2 * 2 * (100 + 10 * 8) - 1, 2, 4),
        (2 * (100 + 10 * 2), 1, 16),
    ],
)
def test_a_step_is_halved_until_it_fits(monkeypatch: pytest.MonkeyPatch, free: int, processes: int, want: int) -> None:
    kept(monkeypatch, base=100, image=10, free=free)
    task = tiny("train.accumulate=auto")
    assert memory.fewest_pieces(work(), task, CPU, LAST, processes) == want


@pytest.mark.parametrize(
    ("words", "folds", "want"),
    [
        (("train.fold_jobs=1",), 5, 1),
        (("train.fold_jobs=2",), 5, 2),  # half of the memory for each
        (("train.fold_jobs=3",), 5, 4),
        (("train.fold_jobs=3",), 2, 2),  # there are but two
        ((), 5, 1),  # the number is chosen later, by what is left
    ],
)
def test_folds_side_by_side_share_the_memory(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], folds: int, want: int
) -> None:
    """Memory for one step of 32 images, for two of 16, for three of 11 and so of 8."""
    kept(monkeypatch, base=0, image=10, free=2 * 10 * 32)
    assert memory.fewest_pieces(work(jobs=folds), tiny(*words), CPU, LAST, 1) == want


@pytest.mark.parametrize(("jobs", "free", "want"), [(1, 1, True), (2, 4, True), (2, 3, False), (3, 4, False)])
def test_folds_side_by_side_share_a_gpu_s_memory(
    monkeypatch: pytest.MonkeyPatch, jobs: int, free: int, want: bool
) -> None:
    """0.6 of 4 is 2.4 times the peak of 1."""

    class Trial:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def run(self) -> float:
            return 1.0

    monkeypatch.setattr(timing, "Trial", Trial)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, free))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 1)
    among = memory.sharing(work(jobs=5), tiny(f"train.fold_jobs={jobs}"), CUDA, 1)
    assert memory._fitting(work(), CUDA, LAST, among)(32) is want
    assert memory.sharing(work(jobs=5), tiny(), CUDA, 8) == 1  # a GPU each


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 32])
def test_two_images_are_the_least_that_is_tried(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """A piece is filled up to two rows, so one image alone is never what must fit."""
    kept(monkeypatch, base=100, image=10, free=2 * (100 + 10 * 2) - 1)
    with pytest.raises(ResourceError, match="two images") as caught:
        memory.fewest_pieces(work(batch=batch), tiny(), CPU, LAST, 1)
    assert (caught.value.where, caught.value.exit_code) == ("small", 6)
    kept(monkeypatch, base=100, image=10, free=2 * (100 + 10 * 2))
    found = memory.fewest_pieces(work(batch=batch), tiny(), CPU, LAST, 1)
    assert found == {1: 1, 2: 1, 3: 2, 4: 2, 32: 16}[batch]


def test_a_gpu_is_tried_with_real_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, Execution]] = []

    class Trial:
        def __init__(
            self, work: Workload, candidate: Candidate, batch: int, device: torch.device, *, train: bool
        ) -> None:
            assert train
            tried.append((batch, candidate.execution))

        def run(self) -> float:
            if tried[-1][0] > 9:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return 1.0

    monkeypatch.setattr(timing, "Trial", Trial)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert memory.fewest_pieces(work(batch=35), tiny(), CUDA, HALF_LAST, 1) == 4
    assert tried == [(35, HALF_LAST), (18, HALF_LAST), (9, HALF_LAST)]


def test_pieces_as_asked_are_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    kept(monkeypatch, base=100, image=10, free=0)
    assert memory.fewest_pieces(work(), tiny("train.accumulate=5"), CPU, LAST, 1) == 5


@pytest.mark.parametrize(("free", "want"), [(2 * (100 + 10 * 64), 64), (2 * (100 + 10 * 127), 64), (0, 2)])
def test_the_largest_batch_that_fits(monkeypatch: pytest.MonkeyPatch, free: int, want: int) -> None:
    kept(monkeypatch, base=100, image=10, free=free)
    assert memory.largest_batch(work(), CPU, LAST) == want


def test_the_memory_that_is_free_is_less_than_the_machine_has() -> None:
    import psutil

    assert 0 < free_memory.available_bytes() <= psutil.virtual_memory().total
