"""What an engine does with jobs, and the engine that `--on` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from maskcls.jobs.engine_words import EngineWords, LocalWords, RayWords, SlurmWords
from maskcls.rundir import JobsDir


@dataclass(frozen=True)
class JobStart:
    """One attempt of a job, for an engine. name: unique, to the engine; job: of its folder; command: to run."""

    name: str
    job: str
    command: Sequence[str]


@dataclass(frozen=True)
class JobState:
    """What an engine says about a job. said: in its own words, such as "PENDING, Resources"."""

    alive: bool
    said: str = ""


class JobEngine(Protocol):
    """Runs jobs. They go on when this process ends, unless `survives` is false.

    poll_s  seconds between two questions about the jobs.
    """

    poll_s: float
    survives: bool

    def submit(self, start: JobStart) -> None:
        """Give a job to the engine; ResourceError where the engine refuses it."""

    def states(self, starts: Sequence[JobStart]) -> Mapping[str, JobState] | None:
        """Return the state of every one of these jobs by the engine's name; None: it does not answer just now."""

    def cancel(self, start: JobStart) -> None:
        """Let a job end, if it is alive."""

    def said_by(self, start: JobStart) -> str:
        """Return where the engine wrote what a job printed before its own log began."""


def open_engine(words: EngineWords, jobs: JobsDir) -> JobEngine:
    """Return the engine; ResourceError where its package or its programs are not installed.

    jobs  folder for its files.
    """
    match words:
        case LocalWords():
            from maskcls.jobs.local_jobs import LocalJobs

            return LocalJobs(jobs)
        case SlurmWords():
            from maskcls.jobs.slurm_jobs import SlurmJobs

            return SlurmJobs(words, jobs)
        case RayWords():
            from maskcls.jobs.ray_jobs import RayJobs

            return RayJobs(words)
        case _:
            assert_never(words)
