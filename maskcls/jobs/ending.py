"""End the jobs of a command, whoever watches them: a file says so, and the engine ends what is alive.

The file is there first. So a job that starts late does nothing, and the command that watches the jobs ends too, instead
of submitting them again. The next command that watches them, such as `maskcls resume RUN --on …`, removes the file.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from maskcls.errors import ResourceError
from maskcls.files.file_locks import is_locked
from maskcls.jobs.engines.engine import JobEngine
from maskcls.jobs.queue import JobQueue, QueuedJob
from maskcls.jobs.running import job_start, living_jobs
from maskcls.rundir import JobsDir

POLL_S = 0.2  # between two looks at the command that watches
UNWATCHED_S = 60.0  # for that command to see the file, and to end the engine that ends with it
END_S = 180.0  # for jobs to save their last step; SLURM kills 30 s after its signal unless the cluster says otherwise


def ask_to_end(jobs: JobsDir) -> bool:
    """Write that the jobs of this folder are to end; False where the folder is gone, as its command has ended."""
    with suppress(FileNotFoundError):
        jobs.ended.touch()
        if jobs.queue.exists():
            return True
        shutil.rmtree(jobs.path, ignore_errors=True)  # deleted by its command while the file was made
    return False


def are_to_end(jobs: JobsDir) -> bool:
    """Tell whether the jobs of this folder are to end."""
    return jobs.ended.exists()


def let_go_on(jobs: JobsDir) -> None:
    """Remove what `ask_to_end` wrote; the caller watches the jobs from now on, and holds the lock for it."""
    jobs.ended.unlink(missing_ok=True)


def until_unwatched(
    is_watched: Callable[[], bool],
    *,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    most_s: float = UNWATCHED_S,
) -> None:
    """Return when the command that watches the jobs has ended, after `most_s` seconds at the latest.

    Before `end_jobs`: Ray without a cluster of its own ends with that command, and then with it every process that is
    connected to it.
    """
    until = clock() + most_s
    while is_watched() and clock() < until:
        wait(POLL_S)


def end_jobs(
    jobs: JobsDir,
    queue: JobQueue,
    engine: JobEngine,
    *,
    wait: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    most_s: float = END_S,
) -> list[QueuedJob]:
    """End the jobs of a queue that wait or are at work, and return them when they have ended.

    A job has ended when the engine says so and its process holds no lock any more. `ask_to_end` comes before.

    Raises ResourceError when the engine does not answer, or jobs have not ended after `most_s` seconds.
    """
    until, ended, left = clock() + most_s, dict[str, QueuedJob](), list[QueuedJob]()
    while True:
        found = living_jobs(jobs, queue, engine)
        if found is not None:
            left = [*found, *(job for job in _locked(jobs, queue) if job not in found)]
            for job in left:
                if job.name not in ended:
                    engine.cancel(job_start(jobs, queue, job))
                ended[job.name] = job
            if not left:
                return list(ended.values())
        if clock() > until:
            raise _not_ended(jobs, None if found is None else left)
        wait(engine.poll_s)


def _locked(jobs: JobsDir, queue: JobQueue) -> list[QueuedJob]:
    """Return the jobs whose processes live on this machine, or on any that shares the locks of the disk."""
    found = []
    for job in queue.jobs:
        with suppress(OSError):
            if is_locked(jobs.job(job.name).lock_file):
                found.append(job)
    return found


def _not_ended(jobs: JobsDir, left: Sequence[QueuedJob] | None) -> ResourceError:
    again = "give the command again; jobs that start from now on do nothing"
    if left is None:
        return ResourceError("the engine of the jobs does not answer", where=str(jobs.path), fix=again)
    names = [job.title for job in left]
    return ResourceError("jobs have not ended", where=str(jobs.path), offenders=names, fix=again)
