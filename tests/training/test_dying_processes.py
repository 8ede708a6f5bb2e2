"""When one process of several fails, all end soon, with the first cause, and nothing that was saved is lost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from forked_processes import Ended, command, in_processes
from tiny import PLAIN, recipe, resume

from maskcls.errors import Exit

WORDS = ("train.batch_size=11", "predict.batch_size=16", "--folds", "0")
ALL_END_S = 30.0


def failing(data: Path, folder: Path, count: int, event: str) -> list[Ended]:
    """Train in so many processes, of which the second one fails before its sixth step, in the second epoch."""
    words = ["train", str(data), "--run", str(folder / "run"), *recipe(*PLAIN, *WORDS)]
    began = time.monotonic()
    ended = in_processes(count, command(words, at=(5, 1, event)), folder / "log")
    assert time.monotonic() - began < 20 * ALL_END_S  # the time of the whole command, on a busy machine
    assert "bug in maskcls" not in "".join(one.err for one in ended)
    return ended


def test_a_killed_process_ends_the_other(drawn: Path, tmp_path: Path) -> None:
    first, second = failing(drawn, tmp_path, 2, "SIGKILL")
    assert (first.code, second.code) == (Exit.RESOURCE, -9)
    assert "another process of this command has ended or does not answer" in first.err
    assert (tmp_path / "run/fold0/last/meta.json").exists()
    assert resume(tmp_path / "run") == 0


@pytest.mark.slow
def test_the_error_of_a_process_is_told_by_all(drawn: Path, tmp_path: Path) -> None:
    first, second, third = failing(drawn, tmp_path, 3, "DataError")
    assert (first.code, second.code, third.code) == (Exit.RESOURCE, Exit.DATA, Exit.RESOURCE)
    assert second.err.startswith("[process 1] error[data] a photo is gone")
    for one, prefix in ((first, ""), (third, "[process 2] ")):
        assert f"{prefix}  got: process 1: error[data] a photo is gone" in one.err


@pytest.mark.slow
def test_processes_with_other_settings_are_refused(drawn: Path, tmp_path: Path) -> None:
    """As on a machine with another copy of the data, or of a configuration file."""
    words = ["train", str(drawn), "--run", str(tmp_path / "run"), *recipe(*PLAIN, *WORDS, "seed=RANK")]
    ended = in_processes(2, command(words), tmp_path / "log")
    assert {one.code for one in ended} <= {Exit.RESULT, Exit.RESOURCE}
    printed = "".join(one.err for one in ended)
    assert "the processes have read different data or settings" in printed
    assert "process 1 has read other data or settings than process 0" in printed
    assert not (tmp_path / "run/fold0").exists()
