"""maskcls runs note: remarks and leaderboard scores beside a run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from maskcls import files
from maskcls.commands.runs.list import checked_run
from maskcls.errors import ResourceError, UsageError
from maskcls.rundir import RunDir
from maskcls.runs.records import Note, notes_path, read_notes


def note(
    run: RunDir,
    words: str = "",
    *,
    leaderboard: float | None = None,
    name: str = "public",
    keep: bool | None = None,
    now: datetime,
) -> Note:
    """Add a note to a run's notes.json, which is only ever added to, and return it.

    leaderboard  a score in [0, 1], and the name of the board it was shown on.
    keep         True: prune has to leave the run alone; False: it need not any more.

    A run may be in training meanwhile: its lock is not asked for, the file is replaced whole, and a lock of the notes'
    own keeps two that note at once from losing one. Nothing else of the run is touched.

    Raises UsageError for a note without content or a score outside [0, 1], ResultError for a folder that is no run or
    notes that are damaged, ResourceError when the disk refuses.
    """
    if not words.strip() and leaderboard is None and keep is None:
        raise UsageError("there is nothing to note", fix="give a text, --leaderboard, or --keep")
    if leaderboard is not None and not 0 <= leaderboard <= 1:
        fix = "71.23 of 100 is 0.7123"
        raise UsageError("not a macro-F1", where="--leaderboard", got=str(leaderboard), expected="0 to 1", fix=fix)
    checked_run(run.path)
    scores = {} if leaderboard is None else {name: leaderboard}
    added = Note(date=now.isoformat(timespec="seconds"), text=words, leaderboard=scores, keep=keep)
    with _noting(run):
        every = [*read_notes(run), added]
        files.commit_json(notes_path(run), [one.model_dump(exclude_none=True) for one in every])
    return added


@contextmanager
def _noting(run: RunDir) -> Iterator[None]:
    """Hold the notes of a run; another process waits, since it is a matter of milliseconds."""
    try:
        handle = os.open(run.path / ".notes.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise ResourceError("cannot write into the run folder", where=str(run.path), got=error.strerror) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
