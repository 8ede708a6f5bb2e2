"""How many choices were made on the same rows, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskcls.show.terminal.text import percent, plural, say

if TYPE_CHECKING:
    from maskcls.runs.choices.tried import Tried

NOT_COUNTED = "not counted: the folder of the run cannot be written"


def say_tried(found: Tried, kind: str, level: float) -> None:
    """Print how many of this kind, and how many runs, were tried on these rows, where there are several.

    level  of the interval, which is wider the more were tried.
    """
    if found.count > 1:
        say(f"  {wider(found.count, kind, level)}")
    if found.runs > 1:
        say(f"  {plural(found.runs, 'run')} were scored on these rows")
    if not found.kept:
        say(f"  {NOT_COUNTED}")


def wider(count: int, kind: str, level: float) -> str:
    """Write how many of this kind were tried on the same rows, and what follows for the interval.

    >>> wider(2, "ensemble", 0.975)
    '2 ensembles were tried on these rows, so the interval is wider (97.5 %)'
    """
    return f"{plural(count, kind)} were tried on these rows, so the interval is wider ({percent(level)})"
