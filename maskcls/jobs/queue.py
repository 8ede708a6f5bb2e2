"""jobs.json: which jobs a command has given to which engine, so that another process can go on watching them.

The command that watches writes it, holding the lock of the run; jobs only read it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from maskcls import files, typedjson
from maskcls.rundir import JobsDir
from maskcls.typedjson import JsonFile

JobKind = Literal["prepare", "network", "finish", "predict"]
MOST_DEATHS = 3  # of a job without an epoch in between: the first and two more


class QueuedJob(JsonFile):
    """One job.

    name      of its folder; of a network the place in the run, with dashes.
    title     for people.
    attempt   how often it was submitted. The engine knows it by `JobQueue.engine_name`.
    deaths    how often it died since its last finished epoch.
    epochs    finished epochs when it was submitted last.
    """

    name: str
    kind: JobKind
    title: str
    attempt: Annotated[int, Field(ge=1)] = 1
    deaths: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=0)] = 0


class JobQueue(JsonFile):
    """The content of jobs.json.

    engine  the value of --on.
    token   distinguishes these jobs from all others of the engine.
    data    where the run's data set is now; None: where it was.
    devices CUDA_VISIBLE_DEVICES of the command, for jobs on the same machine; None: not set.
    """

    engine: str
    token: str
    data: str | None = None
    devices: str | None = None
    jobs: tuple[QueuedJob, ...] = ()

    def job(self, name: str) -> QueuedJob | None:
        """Return a job by its name; None where there is none."""
        return next((job for job in self.jobs if job.name == name), None)

    def with_job(self, job: QueuedJob) -> JobQueue:
        """Return the queue with this job in the place of the one with its name, or behind the others."""
        if self.job(job.name) is None:
            return self.model_copy(update={"jobs": (*self.jobs, job)})
        return self.model_copy(update={"jobs": tuple(job if one.name == job.name else one for one in self.jobs)})

    def engine_name(self, job: QueuedJob) -> str:
        """Return the name by which the engine knows this attempt of a job.

        >>> JobQueue(engine="slurm", token="0f").engine_name(QueuedJob(name="fold1", kind="network", title=""))
        'maskcls-0f-fold1-1'
        """
        return f"maskcls-{self.token}-{job.name}-{job.attempt}"


def new_queue(engine: str, *, data: str | None = None, devices: str | None = None) -> JobQueue:
    """Return a queue without jobs."""
    return JobQueue(engine=engine, token=secrets.token_hex(4), data=data, devices=devices, jobs=())


def write_queue(jobs: JobsDir, queue: JobQueue) -> None:
    """Commit jobs.json."""
    files.commit_json(jobs.queue, files.with_digest(queue.model_dump(mode="json")))


def read_queue(jobs: JobsDir) -> JobQueue | None:
    """Read jobs.json; None where there is none, ResultError when it is damaged."""
    if not jobs.queue.exists():
        return None
    data = files.without_digest(files.read_json(jobs.queue), jobs.queue, required=True)
    return typedjson.parse(data, JobQueue, jobs.queue)


def job_name(place: str) -> str:
    """Return the name of the job of a network that is at this place in its run.

    >>> job_name("members/age-seed1/fold0/continued")
    'members-age-seed1-fold0-continued'
    """
    return place.replace("/", "-")


def job_command(jobs: JobsDir, job: QueuedJob, python: str) -> Sequence[str]:
    """Return the command line of a job; paths are absolute, as an engine may start it in another folder."""
    return [python, "-m", "maskcls.jobs", str(jobs.path.resolve()), job.name, str(job.attempt)]
