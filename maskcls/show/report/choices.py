"""What was tried on the same rows, and what follows for the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskcls.groupnouns import Noun
from maskcls.results.comparison.optimism import Optimism
from maskcls.runs.choices.register import Attempt, Kind
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.answers.many import optimism_line
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import plural

WORDS: Mapping[Kind, str] = {  # what is sealed follows "unsealed"
    "run": "run",
    "rule": "decision rule",
    "ensemble": "ensemble",
    "comparison": "comparison",
    "samples": "table of samples",
    "unsealed": "run scored on sealed",
}
MOST_NAMES = 40


def choices_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return the counts by kind and the names of what was tried; None where nothing is registered."""
    found = reported.choices.by_kind
    if not found:
        return None
    runs = len(found.get("run", ()))
    counts = [[_words(kind, reported.noun), f"{len(attempts):,}"] for kind, attempts in found.items()]
    listed = [_row(one, reported.noun) for attempts in found.values() for one in attempts]
    return {
        "line": _line(runs, reported.choices.optimism, reported.noun),
        "counts": Table(["kind", "number"], counts, "Tried on the rows of this run"),
        "listed": Table(["kind", "name", "p value"], listed[:MOST_NAMES], _caption(len(listed))),
        "file": str(reported.run.choices),
    }


def _line(runs: int, optimism: Optimism | None, noun: Noun) -> str:
    if runs > 1:
        worth = "" if optimism is None else f" {optimism_line(optimism)}."
        return (
            f"{plural(runs, 'run')} were scored on the same rows. The best of several runs has a score that is too "
            f"high for new {noun[1]}; that of a run chosen beforehand is not affected.{worth} Train the best run again "
            f"with renewed folds (folds.renew), or score it on sealed {noun[1]} (folds.sealed, maskcls unseal)."
        )
    return "No other run was scored on the same rows."


def _words(kind: Kind, noun: Noun) -> str:
    return f"{WORDS[kind]} {noun[1]}" if kind == "unsealed" else WORDS[kind]


def _row(one: Attempt, noun: Noun) -> list[str]:
    return [_words(one.kind, noun), one.name or one.what, "-" if one.p is None else f"{one.p:.2g}"]


def _caption(count: int) -> str:
    return f"In the order of trying, by kind ({min(count, MOST_NAMES)} of {count:,})"
