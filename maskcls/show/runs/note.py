"""What `maskcls runs note` prints: the note it added."""

from __future__ import annotations

from pathlib import Path

from maskcls.errors import visible
from maskcls.runs.records import Note
from maskcls.show.json_output import print_json
from maskcls.show.text import say


def print_note(run: Path, note: Note, *, json: bool = False) -> None:
    """Print the run and what was added."""
    if json:
        print_json({"run": str(run), "note": note.model_dump()})
        return
    scores = "  ".join(f"{name} {score:.4f}" for name, score in note.leaderboard.items())
    keep = {True: "keep: runs prune does not delete it", False: "no longer kept", None: ""}[note.keep]
    say(visible(f"{run}  noted: " + "  ".join(filter(None, (note.text, scores, keep)))))
