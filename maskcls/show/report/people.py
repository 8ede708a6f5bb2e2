"""People, or other groups, whose photos are given different classes of a task that does not vary within a person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from maskcls.groupnouns import PEOPLE, Noun, with_article
from maskcls.results.scores.consistency import Consistency
from maskcls.results.scores.disagreement import Disagreement, disagreements
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number, number_of, whose

MOST_PEOPLE = 20


def people_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return the agreement by task and the people who disagree most; None where nothing can be compared."""
    if reported.rows is None:
        return None
    noun = reported.noun
    labelled, found = reported.rows.labelled, reported.rows.evaluation.consistency
    if found is None or labelled.people_N is None:
        return None
    listed = disagreements(labelled.pred_N, labelled.truth, labelled.space, labelled.people_N, list(found.tasks))
    averaged = reported.summary.groups is not None and reported.summary.groups.averaged
    return {
        "title": "People who disagree with themselves" if noun == PEOPLE else f"Disagreement within {noun[1]}",
        "line": _line(found, len({one.person for one in listed}), noun),
        "averaged": averaged,
        "many": noun[1],
        "agreement": _agreement_table(found, noun),
        "if_averaged": _if_averaged(found, reported.rows.evaluation.scores.macro_f1, noun),
        "people": _people_table(listed, noun) if listed else None,
    }


def _line(found: Consistency, people: int, noun: Noun) -> str:
    return (
        f"Of {number_of(found.people, noun)} with two photos or more, {people:,} have photos with different "
        f"predictions of {' or '.join(found.tasks)}. "
        f"These do not vary within {with_article(noun[0])}, so one of them is wrong."
    )


def _agreement_table(found: Consistency, noun: Noun) -> Table:
    rows = {**found.tasks, **({"all of these": found.together} if len(found.tasks) > 1 else {})}
    cells = [[name, number(one.pairs), number(one.whole)] for name, one in rows.items()]
    head = ["task", "equal pairs of photos", f"{noun[1]} with all photos equal"]
    return Table(head, cells, f"Agreement within {noun[1]}")


def _if_averaged(found: Consistency, score: float, noun: Noun) -> str:
    gain = found.averaged.macro_f1 - score
    if math.isnan(gain):
        return ""
    return (
        f"Averaged over each {noun[0]}'s photos with equal weights, the macro-F1 would be "
        f"{number(found.averaged.macro_f1)} ({gain:+.4f}). This needs to know {whose(noun)}."
    )


def _people_table(listed: Sequence[Disagreement], noun: Noun) -> Table:
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
    caption = f"Lowest agreement: {len(rows)} of {len(listed):,} ({with_article(noun[0])} may be in several tasks)"
    return Table([noun[0], "task", "true", "predicted", "photos", "equal pairs"], rows, caption)
