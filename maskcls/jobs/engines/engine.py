"""What an engine does with jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


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

    def close(self) -> None:
        """End what would end with this process anyway.

        The command that watches does it while it holds its lock, so that another one finds the engine as it will be.
        """
