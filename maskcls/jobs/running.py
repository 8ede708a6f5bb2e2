"""Whether jobs of a run are at work or waiting, for commands that do its work themselves."""

from __future__ import annotations

import shutil

from maskcls.errors import BusyError, MaskclsError, ResultError, shell_word
from maskcls.jobs.engines.engine import JobEngine, JobStart
from maskcls.jobs.engines.engine_words import parse_engine
from maskcls.jobs.engines.opening import open_engine
from maskcls.jobs.queue import JobQueue, QueuedJob, job_command, read_queue
from maskcls.jobs.result import read_result
from maskcls.rundir import JobsDir, RunDir


def job_start(jobs: JobsDir, queue: JobQueue, job: QueuedJob, python: str = "") -> JobStart:
    """Return what the engine is told about this attempt of a job."""
    return JobStart(queue.engine_name(job), job.name, job_command(jobs, job, python))


def unended_jobs(jobs: JobsDir, queue: JobQueue) -> list[QueuedJob]:
    """Return the jobs that did not say how their attempt ended: they wait, are at work, or were killed.

    A job whose result is damaged is one of them: an earlier attempt may have left it.
    """
    return [job for job in queue.jobs if not _has_result(jobs, job)]


def living_jobs(jobs: JobsDir, queue: JobQueue, engine: JobEngine) -> list[QueuedJob] | None:
    """Return the jobs that wait or are at work; None where the engine does not answer."""
    left = unended_jobs(jobs, queue)
    states = engine.states([job_start(jobs, queue, job) for job in left]) if left else {}
    return None if states is None else [job for job in left if states[queue.engine_name(job)].alive]


def refuse_running_jobs(run: RunDir) -> None:
    """Raise BusyError while jobs of the run may be at work; delete the folder of jobs that have all ended.

    The caller holds the lock of the run, so that no command watches the jobs.
    """
    jobs = run.jobs
    if (queue := read_queue(jobs)) is not None:
        watch = f"watch them with: maskcls resume {shell_word(run.path)} --on {queue.engine}"
        try:
            living = living_jobs(jobs, queue, open_engine(parse_engine(queue.engine), jobs))
        except MaskclsError as error:
            raise BusyError(
                "it cannot be told whether jobs of this run are at work",
                where=str(run.path),
                got=error.brief,
                fix=f"{watch}; or end them, and delete {jobs.path}",
            ) from None
        if living is None or living:
            got = "the engine does not answer" if living is None else ", ".join(job.title for job in living)
            raise BusyError("jobs of this run are at work", where=str(run.path), got=got, fix=watch)
    shutil.rmtree(jobs.path, ignore_errors=True)


def _has_result(jobs: JobsDir, job: QueuedJob) -> bool:
    try:
        return read_result(jobs.job(job.name), job.attempt) is not None
    except ResultError:
        return False
