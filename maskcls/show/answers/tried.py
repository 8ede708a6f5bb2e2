"""How many choices were made on the same rows, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskcls.show.terminal.text import plural, say

if TYPE_CHECKING:
    from maskcls.runs.choices.tried import Tried

NOT_COUNTED = "not counted: the folder of the run cannot be written"


def say_tried(found: Tried, kind: str) -> None:
    """Print how many of this kind, and how many runs, were tried on these rows, where there are several."""
    if found.count > 1 or found.runs > 1:
        say(f"  {tried(found, kind)}")
    if not found.kept:
        say(f"  {NOT_COUNTED}")


def tried(found: Tried, kind: str) -> str:
    """Write how many of this kind, and how many runs, were tried on these rows.

    >>> from maskcls.runs.choices.tried import Tried
    >>> tried(Tried(3, 2, True), "ensemble")
    'tried on these rows: 3 ensembles (the interval is that much wider), 2 runs'
    """
    wider = " (the interval is that much wider)" if found.count > 1 else ""
    return f"tried on these rows: {plural(found.count, kind)}{wider}, {plural(found.runs, 'run')}"
