"""People whose photos are given different classes of a task that does not vary within a person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from maskcls.results.scores.consistency import Consistency
from maskcls.results.scores.disagreement import Disagreement, disagreements
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number, plural

MOST_PEOPLE = 20


def people_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return the agreement by task and the people who disagree most; None where nothing can be compared."""
    if reported.rows is None:
        return None
    labelled, found = reported.rows.labelled, reported.rows.evaluation.consistency
    if found is None or labelled.people_N is None:
        return None
    listed = disagreements(labelled.pred_N, labelled.truth, labelled.space, labelled.people_N, list(found.tasks))
    averaged = reported.summary.groups is not None and reported.summary.groups.averaged
    return {
        "line": _line(found, len({one.person for one in listed})),
        "averaged": averaged,
        "agreement": _agreement_table(found),
        "if_averaged": _if_averaged(found, reported.rows.evaluation.scores.macro_f1),
        "people": _people_table(listed) if listed else None,
    }


def _line(found: Consistency, people: int) -> str:
    return (
        f"Of {plural(found.people, 'person')} with two photos or more, {people:,} have photos with different "
        f"predictions of {' or '.join(found.tasks)}. These do not vary within a person, so one of them is wrong."
    )


def _agreement_table(found: Consistency) -> Table:
    rows = {**found.tasks, **({"all of these": found.together} if len(found.tasks) > 1 else {})}
    cells = [[name, number(one.pairs), number(one.whole)] for name, one in rows.items()]
    return Table(["task", "equal pairs of photos", "people with all photos equal"], cells, "Agreement within people")


def _if_averaged(found: Consistency, score: float) -> str:
    gain = found.averaged.macro_f1 - score
    if math.isnan(gain):
        return ""
    return (
        "Averaged over each person's photos with equal weights, the macro-F1 would be "
        f"{number(found.averaged.macro_f1)} ({gain:+.4f}). This needs to know who is on each photo."
    )


def _people_table(listed: Sequence[Disagreement]) -> Table:
    rows = [
        [
            one.person,
            one.task,
            one.true or "-",
            ", ".join(f"{name} {photos}" for name, photos in one.predicted.items()),
            str(one.photos),
            number(one.pairs, 2),
        ]
        for one in listed[:MOST_PEOPLE]
    ]
    caption = f"Lowest agreement: {len(rows)} of {len(listed):,} (a person may be in several tasks)"
    return Table(["person", "task", "true", "predicted", "photos", "equal pairs"], rows, caption)
