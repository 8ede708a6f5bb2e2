"""The soak itself: what it looks for is there, its cases can be repeated, and it notices what is wrong."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from project import PACKAGE_DIR, PROJECT_DIR

PARTS = (
    "plan",
    "tally",
    "forks",
    "crash_points",
    "commands",
    "guards",
    "mutate_bytes",
    "mutate_text",
    "mutate_containers",
)


@pytest.fixture(scope="module")
def soak() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PROJECT_DIR))
        yield SimpleNamespace(**{name: importlib.import_module(f"soak.{name}") for name in PARTS})


@pytest.mark.usefixtures("soak")
def test_every_module_can_be_imported() -> None:
    """What they need of the package may have moved."""
    names = sorted(path.stem for path in (PROJECT_DIR / "soak").glob("*.py"))
    assert len([importlib.import_module(f"soak.{name}") for name in names]) >= 15


def test_every_guard_and_its_test_are_found_once(soak: Any) -> None:
    sources = [path.read_text("utf-8") for path in PACKAGE_DIR.rglob("*.py")]
    assert len(soak.guards.GUARDS) >= 12
    for guard in soak.guards.GUARDS:
        assert sum(text.count(guard.old) for text in sources) == 1, guard.name
        assert guard.old != guard.new
        assert soak.guards._place(guard.test), guard.test


def test_a_case_is_the_same_every_time_and_no_other(soak: Any) -> None:
    plan = soak.plan.Plan(seed=3)
    data = json.dumps({"a": [1, 2, {"b": None}], "c": "d"}).encode()
    for mutate in (soak.mutate_bytes.mutated, soak.mutate_text.mutated_json):
        mutants = [mutate(plan.draws("x", case), data, [data]) for case in range(200)]
        assert mutants == [mutate(plan.draws("x", case), data, [data]) for case in range(200)]
        assert len(set(mutants)) > 100
    table = b"id,ans\na,1\nb,2\n"
    assert len({soak.mutate_text.mutated_csv(plan.draws("x", case), table, [table]) for case in range(200)}) > 100


def test_mutants_of_archives_are_mostly_archives(soak: Any, tmp_path: Path) -> None:
    """A mutant that every reader refuses at its first byte would prove little."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ids.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'shape': (1,), }\n" + bytes(4))
    plan = soak.plan.Plan()
    mutate = soak.mutate_containers.mutated_zip
    written = [tmp_path / str(case) for case in range(100)]
    for case, place in enumerate(written):
        place.write_bytes(mutate(plan.draws("x", case), path.read_bytes(), [b"x"]))
    assert 50 < sum(map(zipfile.is_zipfile, written)) < 100


def test_a_share_takes_evenly_spaced_points(soak: Any) -> None:
    assert soak.plan.Plan(share=1.0).every(5) == [0, 1, 2, 3, 4]
    points = soak.plan.Plan(share=0.1, seed=1).every(100)
    assert len(points) == 10
    assert {b - a for a, b in pairwise(points)} == {10}
    assert soak.plan.Plan(share=0.1).cases(250) == list(range(25))
    assert soak.plan.Plan(share=0.1, case=7).cases(250) == [7]


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # of os.fork, in later Pythons
def test_a_crash_comes_before_the_change_that_was_asked_for(soak: Any, tmp_path: Path) -> None:
    def two_files(folder: Path) -> int:
        for name in ("a", "b"):
            handle = os.open(folder / f"{name}.tmp", os.O_WRONLY | os.O_CREAT)
            os.write(handle, b"x")
            os.fsync(handle)
            os.close(handle)
            os.replace(folder / f"{name}.tmp", folder / name)
        return 0

    changes = ["open", "write", "fsync", "os.rename"]
    names = tmp_path / "names"
    for point in range(-1, 8):
        folder = tmp_path / str(point)
        folder.mkdir()
        crashing = soak.crash_points.with_crash(lambda f=folder: two_files(f), folder, point, names)
        ended = soak.forks.run(crashing, limit_s=60)
        if point < 0:
            assert ended.code == 0
            assert names.read_text().split() == changes * 2
            continue
        assert ended.code == -signal.SIGKILL
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        whole = {"a": b"x"} if point >= 4 else {}
        temporary = {1: b"", 2: b"x", 3: b"x"}.get(point % 4)
        assert left == whole | ({"ab"[point // 4] + ".tmp": temporary} if temporary is not None else {})


def test_what_differs_is_named(soak: Any, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.jsonl").write_text(json.dumps({"loss": 1, "seconds": len(name)}) + "\n")
        (tmp_path / name / ".lock").write_text(name)
    outcome, differences = soak.commands.outcome, soak.commands.differences
    wanted = outcome(tmp_path / "one")
    assert differences(outcome(tmp_path / "other"), wanted) == ""
    (tmp_path / "other" / "log.jsonl").write_text('{"loss": 2, "seconds": 3}\n')
    (tmp_path / "other" / ".0123456789abcdef.tmp").write_text("x")
    (tmp_path / "other" / ".lock").unlink()
    assert differences(outcome(tmp_path / "other"), wanted) == (
        "missing: .lock; left over: .0123456789abcdef.tmp; different: log.jsonl"
    )


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # of os.fork, in later Pythons
def test_a_child_that_hangs_or_takes_too_much_memory_is_noticed(soak: Any) -> None:
    late = soak.forks.run(signal.pause, limit_s=0.2)
    assert (late.late, late.code) == (True, -signal.SIGKILL)
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # a handler of the parent is not the child's
    try:
        stopped = soak.forks.run(signal.pause, limit_s=60, stop_after_s=0.05)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (stopped.late, stopped.stopped, stopped.code) == (False, True, -signal.SIGTERM)
    large = soak.forks.run(lambda: len(bytearray(200 << 20)) and 0, limit_s=60)
    assert large.peak_mib > 200
    endless = soak.forks.run(lambda: len(bytearray(soak.forks.EXTRA_BYTES + (1 << 30))), limit_s=60)
    assert endless.code == 70
    assert "MemoryError" in endless.text


def test_without_a_part_all_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """argparse of Python 3.11 compares an empty list with the choices of an argument."""
    monkeypatch.setattr(sys, "argv", ["soak", "--share", "0.1"])
    assert importlib.import_module("soak.__main__")._arguments().parts == []
