"""Engines for tests: one that runs a job in this process as soon as it is submitted, and one that runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from maskcls.jobs import job
from maskcls.jobs.engine import JobStart, JobState
from maskcls.rundir import JobsDir


class Inline:
    """Runs each job in this process; it counts what was submitted."""

    poll_s = 0.0
    survives = True

    def __init__(self, jobs: JobsDir) -> None:
        self.jobs = jobs
        self.submitted: list[str] = []

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


def run_inline(monkeypatch: pytest.MonkeyPatch) -> list[Inline]:
    """Let every engine run its jobs in this process; returns those that are opened."""
    opened: list[Inline] = []

    def open_inline(words: object, jobs: JobsDir) -> Inline:
        opened.append(Inline(jobs))
        return opened[-1]

    for module in ("farm", "running"):
        monkeypatch.setattr(f"maskcls.jobs.{module}.open_engine", open_inline)
    monkeypatch.setattr(job, "_obey_signals", lambda: None)
    monkeypatch.setattr(job, "_log_to", lambda path: path.write_text("log\n"))
    return opened
