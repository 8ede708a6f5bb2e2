"""Locks of a run, which end with the process that holds them."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from project import PROJECT_DIR

from maskcls.errors import BusyError, ResourceError
from maskcls.rundir import RunDir
from maskcls.runs.locks import run_lock
from maskcls.runs.locks.run_lock import lock, lock_new

# Locks the run given as argument, says so, and sleeps; with a second argument a forked child sleeps on as well.
HOLDER = """
import os, sys, time
from pathlib import Path
from maskcls.rundir import RunDir
from maskcls.runs.locks.run_lock import lock
with lock(RunDir(Path(sys.argv[1]))):
    reader, writer = os.pipe()
    child = os.fork() if len(sys.argv) > 2 else -1
    if child <= 0:
        os.write(writer, b"x")
    if child:
        os.read(reader, 1)  # a child is up before anybody hears of it
        print(os.getpid(), child, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """Start a process that holds the run at `tmp_path`; whatever is left of it is killed after the test."""
    started: list[int] = []

    def start(*more: str) -> tuple[subprocess.Popen[str], int]:
        command = [sys.executable, "-c", HOLDER, str(tmp_path), *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_DIR)
        started.append(process.pid)
        assert process.stdout is not None
        pid, child = map(int, process.stdout.readline().split())
        assert pid == process.pid
        if child > 0:
            started.append(child)
        return process, child

    yield start
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_a_second_process_is_refused_at_once_and_told_who_holds_the_run(
    tmp_path: Path, hold: Callable[..., tuple[subprocess.Popen[str], int]]
) -> None:
    with hold()[0] as process:
        with pytest.raises(BusyError) as caught, lock(RunDir(tmp_path)):
            pytest.fail("two processes hold the run")
        assert caught.value.where == str(tmp_path)
        assert str(caught.value.got).startswith(f"process {process.pid} on ")
        process.kill()


@pytest.mark.parametrize("more", [(), ("fork",)], ids=["alone", "with a child that lives on"])
def test_kill_9_frees_the_run(
    tmp_path: Path, hold: Callable[..., tuple[subprocess.Popen[str], int]], more: tuple[str, ...]
) -> None:
    process, child = hold(*more)
    with process:
        process.kill()
        process.wait()
        with lock(RunDir(tmp_path)):
            assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
        if child > 0:
            os.kill(child, 0)  # it is still there, like a loader worker whose parent was killed


def test_the_lock_is_free_again_after_use_and_after_an_error(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "new" / "run")
    with lock_new(run), pytest.raises(BusyError), lock(run):
        pytest.fail("the run is held twice")
    with pytest.raises(ZeroDivisionError), lock(run):
        raise ZeroDivisionError
    with lock(run):
        pass
    assert [path.name for path in run.path.iterdir()] == [".lock"]  # kept on purpose: deleting it would open a race
    assert not run_lock._held


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"old")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(ResourceError, match="cannot lock"), lock(RunDir(tmp_path / "run")):
        pytest.fail("a link was accepted")
    assert (tmp_path / "victim").read_bytes() == b"old"


def test_a_run_folder_that_cannot_be_made_or_locked_is_a_resource_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ResourceError, match="cannot lock"), lock(RunDir(tmp_path / "file")):
        pytest.fail("a file was accepted as a folder")

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(run_lock.fcntl, "flock", no_locks)
    with pytest.raises(ResourceError, match="No locks available"), lock(RunDir(tmp_path)):
        pytest.fail("a disk without locks was accepted")
