"""What was tried on the same rows, and what follows for the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskcls.runs.choices.register import Attempt, Kind
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import plural

WORDS: Mapping[Kind, str] = {
    "run": "run",
    "rule": "decision rule",
    "ensemble": "ensemble",
    "comparison": "comparison",
    "unsealed": "run scored on sealed people",
}
MOST_NAMES = 40


def choices_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return the counts by kind and the names of what was tried; None where nothing is registered."""
    found = reported.choices.by_kind
    if not found:
        return None
    runs = len(found.get("run", ()))
    counts = [[WORDS[kind], f"{len(attempts):,}"] for kind, attempts in found.items()]
    listed = [_row(one) for attempts in found.values() for one in attempts]
    return {
        "line": _line(runs),
        "counts": Table(["kind", "number"], counts, "Tried on the rows of this run"),
        "listed": Table(["kind", "name", "p value"], listed[:MOST_NAMES], _caption(len(listed))),
        "file": str(reported.run.choices),
    }


def _line(runs: int) -> str:
    if runs > 1:
        return (
            f"{plural(runs, 'run')} were scored on the same rows. The best of several runs has a score that is too "
            "high for new people; that of a run chosen beforehand is not affected."
        )
    return "No other run was scored on the same rows."


def _row(one: Attempt) -> list[str]:
    return [WORDS[one.kind], one.name or one.what, "-" if one.p is None else f"{one.p:.2g}"]


def _caption(count: int) -> str:
    return f"In the order of trying, by kind ({min(count, MOST_NAMES)} of {count:,})"
