"""notes.json: remarks and leaderboard scores that a person noted about a run."""

from __future__ import annotations

from pydantic import Field

from maskcls import files, typedjson
from maskcls.errors import ResultError
from maskcls.rundir import RunDir
from maskcls.runs.records.waiting_lock import waiting_lock
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
        raise ResultError(
            "the notes are not a list", where=str(path), fix="restore the file, or delete it to begin new notes"
        )
    return tuple(typedjson.parse(item, Note, path) for item in data)


def add_note(run: RunDir, note: Note) -> None:
    """Add a note to a run's notes; the notes' own lock keeps two processes from losing one of two notes."""
    with waiting_lock(run.notes_lock):
        every = [*read_notes(run), note]
        files.commit_json(run.notes, [one.model_dump(exclude_none=True) for one in every])
