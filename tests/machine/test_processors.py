"""The counts of cores and threads."""

from __future__ import annotations

import os

import pytest

from maskcls.machine import processors as machine


def test_cores_are_those_this_process_may_use() -> None:
    assert machine.cores() == len(os.sched_getaffinity(0)) >= 1


@pytest.mark.parametrize(("cores", "threads"), [(1, 2), (2, 2), (3, 3), (16, 16), (17, 17), (18, 17), (64, 17)])
def test_photos_are_read_by_a_thread_a_core(cores: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: cores)
    assert machine.reading_threads(None) == threads
    assert [machine.reading_threads(workers) for workers in (0, 7, 40)] == [1, 8, 41]
