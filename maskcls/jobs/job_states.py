"""What a job does just now, by its engine and by the files that it has written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from maskcls.errors import ResultError
from maskcls.jobs.engines.engine import JobEngine, JobState
from maskcls.jobs.queue import JobQueue, QueuedJob
from maskcls.jobs.result import read_result
from maskcls.jobs.running import job_start
from maskcls.rundir import JobsDir

JobStage = Literal["waiting", "starting", "at work", "done", "failed", "gone", "unknown"]
STARTED = "RUNNING"  # what SLURM says of a job whose process loads its libraries


def stage_of(state: JobState, *, logged: bool) -> JobStage:
    """Return what a job does that is alive. logged: whether it has begun its log, and with it its work.

    >>> stage_of(JobState(True, "PENDING"), logged=False), stage_of(JobState(True, "RUNNING"), logged=True)
    ('waiting', 'at work')
    """
    if logged:
        return "at work"
    return "starting" if state.said == STARTED else "waiting"


def stages_of(jobs: JobsDir, queue: JobQueue, engine: JobEngine) -> Mapping[str, tuple[JobStage, str]]:
    """Return what each job of a queue does, by its name, and the engine's words or the job's error.

    gone: it has ended without a result. unknown: the engine does not answer.
    """
    found = {job.name: ended for job in queue.jobs if (ended := _ended(jobs, job)) is not None}
    left = [job for job in queue.jobs if job.name not in found]
    states = engine.states([job_start(jobs, queue, job) for job in left]) if left else {}
    for job in left:
        if states is None:
            found[job.name] = "unknown", "the engine does not answer"
            continue
        state = states[queue.engine_name(job)]
        # It may have written its result while the engine was asked.
        alive = stage_of(state, logged=jobs.job(job.name).log(job.attempt).exists()), state.said
        found[job.name] = alive if state.alive else _ended(jobs, job) or ("gone", state.said)
    return found


def _ended(jobs: JobsDir, job: QueuedJob) -> tuple[JobStage, str] | None:
    try:
        result = read_result(jobs.job(job.name), job.attempt)
    except ResultError as error:
        return "failed", error.brief
    if result is None:
        return None
    if result.error is not None:
        return "failed", result.error.what
    return ("done", "") if result.bug is None else ("failed", "a bug in maskcls")
