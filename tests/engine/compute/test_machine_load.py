"""Whether others use the machine, by the kernel's counters."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from maskcls.engine.compute import machine_load
from maskcls.engine.compute.machine_load import Clocks, others_share, read_clocks

STAT = """cpu  900 0 0 0 0 0 0 0 0 0
cpu0 100 10 20 1000 5 1 2 3 50 0
cpu1 200 0 0 1000 0 0 0 0 0 0
cpu2 600 0 0 0 0 0 0 0 0 0
intr 5
"""


@pytest.mark.parametrize(
    ("before", "after", "want"),
    [
        (Clocks(0, 0, 0, 2), Clocks(10, 18, 18, 2), 0.0),  # all of the work was ours
        (Clocks(5, 1, 2, 2), Clocks(15, 11, 20, 2), 0.4),  # 8 s of others in 20 s of two cores
        (Clocks(0, 0, 0, 2), Clocks(10, 20, 19.9, 2), 0.0),  # rounding of ticks
        (Clocks(0, 0, None, 1), Clocks(10, 5, None, 1), 0.0),  # unknown
        (Clocks(1, 0, 0, 1), Clocks(1, 0, 0, 1), 0.0),  # no time went by
    ],
)
def test_the_share_of_others(before: Clocks, after: Clocks, want: float) -> None:
    assert others_share(before, after) == pytest.approx(want)


def test_only_our_cores_count_and_idle_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """cpu0: 100 + 10 + 20 + 1 + 2 + 3 ticks, without idle, waiting and guests, which user time includes."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(machine_load.Path, "read_text", lambda *_, **__: STAT)
    found = read_clocks()
    assert found.all_s is not None
    assert (found.cores, found.all_s * os.sysconf("SC_CLK_TCK")) == (2, pytest.approx(136 + 200))


def test_a_system_without_counters_reports_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(machine_load.Path, "read_text", none)
    assert read_clocks().all_s is None


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="Linux's counters")
def test_our_own_work_is_counted_as_ours() -> None:
    before = read_clocks()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    after = read_clocks()
    assert after.own_s - before.own_s >= 0.19
    assert after.all_s is not None
    assert before.all_s is not None
    assert after.all_s - before.all_s >= 0.1  # ticks of 10 ms
