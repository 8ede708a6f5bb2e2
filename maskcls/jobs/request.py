"""request.json: the arguments of the command that jobs work for, as far as no run folder says them."""

from __future__ import annotations

from typing import TypeVar

from maskcls import files, typedjson
from maskcls.rundir import JobsDir
from maskcls.schema import Config
from maskcls.typedjson import JsonFile

R = TypeVar("R", bound=JsonFile)


class TrainRequest(JsonFile):
    """A training. data: absolute; folds: the value of --folds; origins: where each setting comes from, by key."""

    data: str
    config: Config
    folds: str | None = None
    origins: dict[str, str] | None = None


class PredictRequest(JsonFile):
    """A prediction in shards.

    folder  working folder of the command, in which the names of photos are understood.
    words   the command line of a shard after `maskcls`, without --shard; shards: the value of --shard, by job.
    """

    folder: str
    words: tuple[str, ...]
    shards: dict[str, str]


def write_request(jobs: JobsDir, request: JsonFile) -> None:
    """Commit request.json."""
    files.commit_json(jobs.request, files.with_digest(request.model_dump(mode="json")))


def read_request(jobs: JobsDir, kind: type[R]) -> R:
    """Read request.json; ResultError when it is missing or damaged."""
    data = files.without_digest(files.read_json(jobs.request), jobs.request, required=True)
    return typedjson.parse(data, kind, jobs.request)
