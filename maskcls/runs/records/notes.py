"""notes.json: remarks and leaderboard scores that a person noted about a run."""

from __future__ import annotations

from pydantic import Field

from maskcls import files, owned, typedjson
from maskcls.errors import ResultError
from maskcls.rundir import RunDir
from maskcls.runs.locks.waiting_lock import waiting_lock
from maskcls.typedjson import JsonFile

BEST_DELETED = "best weights deleted by runs prune"  # the text of the note that `runs prune` adds


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
    data = owned.without_owner(files.read_json(path), path, run.path)
    notes = data.get("notes") if isinstance(data, dict) else data  # earlier versions wrote the list alone
    if not isinstance(notes, list):
        raise ResultError(
            "the notes are not a list", where=str(path), fix="restore the file, or delete it to begin new notes"
        )
    return tuple(typedjson.parse(item, Note, path) for item in notes)


def add_note(run: RunDir, note: Note) -> None:
    """Add a note to a run's notes; the notes' own lock keeps two processes from losing one of two notes.

    The same note as the last one, by a command that is given again, is not added a second time.
    """
    with files.filling(run.path), waiting_lock(run.notes_lock):
        before = read_notes(run)
        if before and before[-1].model_copy(update={"date": note.date}) == note:
            return
        data = {"notes": [one.model_dump(exclude_none=True) for one in (*before, note)]}
        files.commit_json(run.notes, owned.with_owner(data, run.notes, run.path))
