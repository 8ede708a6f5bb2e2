"""The seconds of a command's parts, and the file that keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskcls.errors import ResultError
from maskcls.rundir import RunDir
from maskcls.runs.records.times import CommandTimes, PartTimer, add_times, read_times


def test_parts_of_one_name_are_added_also_when_one_fails() -> None:
    clock = iter([0.0, 1.5, 10.0, 12.0, 20.0, 23.0])
    timer = PartTimer("train", now=lambda: next(clock))
    with timer.part("a"):
        pass
    with timer.part("b"):
        pass
    with pytest.raises(ValueError, match="x"), timer.part("a"):
        raise ValueError("x")
    assert timer.times == CommandTimes(command="train", seconds={"a": 4.5, "b": 2.0})


def test_a_resumed_run_has_the_times_of_both_commands(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert read_times(run) is None
    add_times(run, None, CommandTimes(command="train", seconds={"a": 1}))
    before = read_times(run)
    add_times(run, before, CommandTimes(command="resume", seconds={"a": 2}))
    add_times(run, before, CommandTimes(command="resume", seconds={"a": 3}))  # written twice: before and after
    found = read_times(run)
    assert found is not None
    assert [(one.command, one.seconds["a"]) for one in found.commands] == [("train", 1), ("resume", 3)]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.times.write_text("{")
    with pytest.raises(ResultError) as error:
        read_times(run)
    assert error.value.where == str(run.times)
