"""The garbage collector rests while packages are imported, and works as usual when something is computed."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from maskcls import startup
from maskcls.startup import RESTING, rest_collector, wake_collector


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Count what would be frozen, and leave this process's collector as it was."""
    before, calls = gc.get_threshold(), list[str]()
    monkeypatch.setattr(gc, "freeze", lambda: calls.append("freeze"))
    yield calls
    gc.set_threshold(*before)
    startup._usual.clear()


def test_the_collector_rests_and_works_as_before(frozen: list[str]) -> None:
    before = gc.get_threshold()
    rest_collector()
    assert gc.get_threshold() == RESTING
    assert gc.isenabled()
    wake_collector()
    assert gc.get_threshold() == before
    assert frozen == ["freeze"]
    wake_collector()
    assert frozen == ["freeze"]


def test_a_collector_that_did_not_rest_is_left_alone(frozen: list[str]) -> None:
    """Where maskcls is used from Python, the process and its thresholds belong to somebody else."""
    gc.set_threshold(123, 4, 5)
    wake_collector()
    assert gc.get_threshold() == (123, 4, 5)
    assert frozen == []


@pytest.mark.slow  # all of torch is imported; the tests above see both functions work
def test_the_command_line_rests_it_and_starting_a_device_wakes_it() -> None:
    probe = (
        "import gc, sys\n"
        "from maskcls import cli\n"
        "seen = []\n"
        "cli.run_app = lambda words: seen.append(gc.get_threshold()) or 0\n"
        "usual = gc.get_threshold()\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "import maskcls.commands.train\n"  # all that a training imports
        "from maskcls.engine.device import start\n"
        "from maskcls.schema import DeviceConfig\n"
        "start(DeviceConfig(type='cpu'))\n"
        "print(seen[0] != usual, gc.get_threshold() == usual, gc.get_freeze_count() > 100_000)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"] * 3
    assert done.stderr == ""  # nothing is reported as leaked at the end
