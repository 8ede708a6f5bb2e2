"""maskcls runs note: remarks and leaderboard scores beside a run."""

from __future__ import annotations

from datetime import datetime

from maskcls.errors import UsageError
from maskcls.rundir import RunDir
from maskcls.runs.records.finding import checked_run
from maskcls.runs.records.notes import Note, add_note


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

    The run may be in training: its lock is not needed, because only the notes are written, under a lock of their own.

    Raises UsageError for a note without content or a score outside [0, 1], ResultError for a folder that is no run or
    notes that are damaged, ResourceError when it cannot be written.
    """
    if not words.strip() and leaderboard is None and keep is None:
        raise UsageError("there is nothing to note", fix="give a text, --leaderboard, or --keep")
    if leaderboard is not None and not 0 <= leaderboard <= 1:
        fix = "71.23 of 100 is 0.7123"
        raise UsageError("not a macro-F1", where="--leaderboard", got=str(leaderboard), expected="0 to 1", fix=fix)
    checked_run(run.path)
    scores = {} if leaderboard is None else {name: leaderboard}
    added = Note(date=now.isoformat(timespec="seconds"), text=words, leaderboard=scores, keep=keep)
    add_note(run, added)
    return added
