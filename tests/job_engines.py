"""Engines for tests: one that runs a job in this process as soon as it is submitted, and one that runs nothing; and
trainings in a process of their own, for the real ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny import RECIPE

from maskcls.files.file_locks import is_locked
from maskcls.jobs import job
from maskcls.jobs.engines.engine import JobStart, JobState
from maskcls.rundir import JobsDir, RunDir


class Inline:
    """Runs each job in this process; it counts what was submitted."""

    poll_s = 0.0
    survives = True

    def __init__(self, jobs: JobsDir) -> None:
        self.jobs = jobs
        self.submitted: list[str] = []
        self.closed: list[bool] = []  # whether the command that watches held its lock

    def submit(self, start: JobStart) -> None:
        self.submitted.append(f"{start.job} {start.command[-1]}")
        folder, name, attempt = start.command[-3:]
        job.run_job(JobsDir(Path(folder)), name, int(attempt))

    def states(self, starts: Sequence[JobStart]) -> Mapping[str, JobState]:
        return {start.name: JobState(False) for start in starts}

    def cancel(self, start: JobStart) -> None:
        raise AssertionError(f"{start} is to be ended")

    def said_by(self, start: JobStart) -> str:
        return "nowhere"

    def close(self) -> None:
        locks = (RunDir(folder).lock_file for folder in (self.jobs.path.parent, self.jobs.path))
        self.closed.append(any(lock.exists() and is_locked(lock) for lock in locks))


class Scripted:
    """Runs nothing: `after` is called with each question, and says which jobs are alive and what they leave behind."""

    poll_s = 0.0
    survives = True

    def __init__(self, after: Callable[[list[JobStart]], Mapping[str, JobState] | None]) -> None:
        self.after = after
        self.submitted: list[JobStart] = []
        self.cancelled: list[str] = []

    def submit(self, start: JobStart) -> None:
        self.submitted.append(start)

    def states(self, starts: Sequence[JobStart]) -> Mapping[str, JobState] | None:
        return self.after(list(starts))

    def cancel(self, start: JobStart) -> None:
        self.cancelled.append(start.job)

    def said_by(self, start: JobStart) -> str:
        return f"the engine's file of {start.job}"

    def close(self) -> None:
        pass


def run_inline(monkeypatch: pytest.MonkeyPatch) -> list[Inline]:
    """Let every engine run its jobs in this process; returns those that are opened."""
    opened: list[Inline] = []

    def open_inline(words: object, jobs: JobsDir) -> Inline:
        opened.append(Inline(jobs))
        return opened[-1]

    for module in ("jobs.farm", "jobs.running", "commands.predicting.shards"):
        monkeypatch.setattr(f"maskcls.{module}.open_engine", open_inline)
    monkeypatch.setattr(job, "_obey_signals", lambda: None)
    monkeypatch.setattr(job, "_log_to", lambda path: path.write_text("log\n"))
    return opened


def has_slurm() -> bool:
    """Tell whether a SLURM answers here; benchmarks/slurm_here.sh starts one."""
    if shutil.which("sinfo") is None or find_spec("submitit") is None:
        return False
    try:
        return subprocess.run(["sinfo"], capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def started(drawn: Path, run: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a training in a process of its own."""
    command = [sys.executable, "-m", "maskcls", "train", str(drawn), "--run", str(run), *RECIPE, *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until(done: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.1)
