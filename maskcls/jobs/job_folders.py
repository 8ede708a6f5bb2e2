"""Where the files of a command with `--on` are: in the run that it trains, or beside the table that it predicts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from maskcls.files import named_file
from maskcls.rundir import JobsDir, RepeatsDir, RunDir
from maskcls.runs.repeats.repeat_runs import is_repeated, repeat_runs


def jobs_of(output: Path) -> JobsDir:
    """Return the folder of the jobs that predict this output.

    >>> jobs_of(Path("a.csv")).path.name
    'a.csv.jobs'
    """
    return JobsDir(named_file(output).with_name(f"{output.name}.jobs"))


def folder_of_jobs(path: Path) -> JobsDir | None:
    """Return the folder that names jobs of a run, of a repeat of it, or of the prediction with this output.

    None where no command with `--on` has left one: each deletes it at its end.
    """
    return next((jobs for jobs in _candidates(path) if jobs.queue.exists()), None)


def _candidates(path: Path) -> Iterator[JobsDir]:
    run = RunDir(path)
    yield run.jobs
    if is_repeated(run):
        yield from (repeat.jobs for repeat in repeat_runs(RepeatsDir(path)))
    yield jobs_of(path)
