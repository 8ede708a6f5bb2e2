"""What `maskcls runs jobs` returns and prints: the jobs of a command, and what each does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from maskcls.errors import visible
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import plural, say


@dataclass(frozen=True)
class ListedJob:
    """One job.

    state    waiting, starting, at work, done, failed, gone (it ended without a result) or unknown.
    said     what its engine says, or its error; "" for nothing.
    attempt  how often it was submitted.
    epochs   finished ones of a network; None for a job that trains none.
    log      None before its work begins.
    """

    name: str
    title: str
    state: str
    said: str
    attempt: int
    epochs: int | None
    log: Path | None

    @property
    def text(self) -> str:
        """The job in a line.

        >>> ListedJob("fold0", "fold 0", "waiting", "PENDING", 2, 3, None).text
        'fold 0: waiting (PENDING), 3 epochs, attempt 2'
        """
        parts = [f"{self.state} ({self.said})" if self.said else self.state]
        if self.epochs:
            parts.append(plural(self.epochs, "epoch"))
        if self.attempt > 1:
            parts.append(f"attempt {self.attempt}")
        return f"{self.title}: {', '.join(parts)}"


@dataclass(frozen=True)
class JobList:
    """The jobs of the command with `--on` that works, or worked last, for a run or the table of a prediction.

    engine     the value of --on; None: no jobs are known.
    watched    the process whose command watches them; None: nobody does.
    cancelled  how many were ended now; None: that was not asked for. ended: whether they are to end, since then.
    again      how to go on with the jobs.
    """

    path: Path
    engine: str | None
    watched: str | None
    jobs: tuple[ListedJob, ...]
    cancelled: int | None
    ended: bool
    again: str


def print_jobs(found: JobList, *, json: bool = False) -> None:
    """Print the engine, a line per job, and how to go on."""
    if json:
        print_json(_to_json(found))
        return
    if found.engine is None:
        say(visible(f"{found.path}: no jobs; a command with --on forgets them when it is finished"))
        return
    watched = f"watched by {found.watched}" if found.watched else "no command watches them"
    say(visible(f"{found.path}: {plural(len(found.jobs), 'job')} of --on {found.engine}; {watched}"))
    for job in found.jobs:
        say(visible(f"  {job.text}"), 4)
    if found.cancelled is not None:
        say(f"{plural(found.cancelled, 'job')} ended; none is left")
    if found.ended or found.watched is None:
        say(visible(f"go on with: {found.again}"))


def _to_json(found: JobList) -> dict[str, Any]:
    jobs = [asdict(job) | {"log": None if job.log is None else str(job.log)} for job in found.jobs]
    return asdict(found) | {"path": str(found.path), "jobs": jobs}
