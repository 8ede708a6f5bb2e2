"""notes.json: remarks and leaderboard scores that a person noted about a run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import Field

from maskcls import files, typedjson
from maskcls.errors import ResourceError, ResultError
from maskcls.rundir import RunDir
from maskcls.typedjson import JsonFile


class Note(JsonFile):
    """One note. leaderboard: scores by name; keep: whether `runs prune` has to leave the run alone."""

    date: str
    text: str = ""
    leaderboard: dict[str, float] = Field(default_factory=dict)
    keep: bool | None = None


def read_notes(run: RunDir) -> tuple[Note, ...]:
    """Return the notes about a run, oldest first; raises ResultError."""
    path = run.notes
    if not path.exists():
        return ()
    data = files.read_json(path)
    if not isinstance(data, list):
        raise ResultError("the notes are not a list", where=str(path))
    return tuple(typedjson.parse(item, Note, path) for item in data)


def add_note(run: RunDir, note: Note) -> None:
    """Add a note to a run's notes; the notes' own lock keeps two processes from losing one of two notes."""
    with _locked(run):
        every = [*read_notes(run), note]
        files.commit_json(run.notes, [one.model_dump(exclude_none=True) for one in every])


@contextmanager
def _locked(run: RunDir) -> Iterator[None]:
    """Hold the lock of the notes; another process waits, for milliseconds."""
    try:
        handle = os.open(run.notes_lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ResourceError("cannot write into the run folder", where=str(run.path), got=error.strerror) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
