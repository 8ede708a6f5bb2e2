"""result.json: how a job ended. Missing for one that was killed, or stopped before its end."""

from __future__ import annotations

from pydantic import Field

from maskcls import errors, files, typedjson
from maskcls.errors import MaskclsError
from maskcls.rundir import JobDir
from maskcls.typedjson import JsonFile


class JobError(JsonFile):
    """An error of a job: the name of its class in errors.py, and its parts."""

    kind: str
    what: str
    where: str | None = None
    got: str | None = None
    expected: str | None = None
    fix: str | None = None
    offenders: tuple[str, ...] = ()


class JobResult(JsonFile):
    """How one attempt of a job ended: well, with an error that its user can act on, or with a bug, a traceback."""

    attempt: int
    error: JobError | None = Field(default=None)
    bug: str | None = Field(default=None)


def write_result(job: JobDir, attempt: int, error: MaskclsError | None = None, bug: str | None = None) -> None:
    """Commit result.json."""
    known = None
    if error is not None:
        parts = {name: getattr(error, name) for name in JobError.model_fields if name != "kind"}
        known = JobError(kind=type(error).__name__, **parts)
    result = JobResult(attempt=attempt, error=known, bug=bug)
    files.commit_json(job.result, files.with_digest(result.model_dump(mode="json")))


def read_result(job: JobDir, attempt: int) -> JobResult | None:
    """Read how this attempt ended; None where it did not say so. Raises ResultError for a damaged file."""
    if not job.result.exists():
        return None
    data = files.without_digest(files.read_json(job.result), job.result, required=True)
    found = typedjson.parse(data, JobResult, job.result)
    return found if found.attempt == attempt else None


def as_error(found: JobError, *, title: str, log: str) -> MaskclsError:
    """Return the error of a job as one of this process, which also says which job it was, and where its log is."""
    kind = getattr(errors, found.kind, MaskclsError)
    where = ", ".join(filter(None, [found.where, f"job {title}, log {log}"]))
    error: MaskclsError = kind(
        found.what, where=where, got=found.got, expected=found.expected, fix=found.fix, offenders=found.offenders
    )
    return error
