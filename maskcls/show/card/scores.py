"""The card's sections about scores: intervals, calibration, slices."""

from __future__ import annotations

import math

from maskcls.groupnouns import PHOTOS, Noun
from maskcls.results.scores.evaluation import Evaluation, task_intervals
from maskcls.results.scores.intervals import ScoreIntervals
from maskcls.runs.reported.reported_run import ReportedRun, ScoredRows
from maskcls.show.card.markdown import bullets, escaped, section, table_markdown
from maskcls.show.pages.table import Table
from maskcls.show.report.reliability import quality_pairs, quality_table
from maskcls.show.report.score import fold_score_table, run_score_lines, score_headline
from maskcls.show.report.slices import lowest_slices, other_slice_tables, slice_table
from maskcls.show.terminal.text import number, percent, span


def scores_part(reported: ReportedRun) -> str:
    """Return the macro-F1 of the joint classes and of each task with intervals, the folds and the calibration error."""
    lines = [escaped(line) for line in (score_headline(reported), *run_score_lines(reported))]
    rows = reported.rows
    if rows is None:
        return section("Scores", bullets(lines))
    folds = fold_score_table(reported.summary, rows.evaluation)
    return section(
        "Scores",
        _what(reported.noun),
        bullets(lines),
        table_markdown(_interval_table(rows)),
        table_markdown(folds) if folds else "",
        *_calibration(reported, rows.evaluation),
    )


def slices_part(reported: ReportedRun) -> str:
    """Return accuracy within the classes of each task and within combinations of them; "" without a score."""
    if reported.rows is None:
        return ""
    found = reported.rows.evaluation
    tables = [slice_table(found.by_class, "Photos right in every task, by true class", found.noun)]
    if len(found.by_others) > 1:
        tables += [lowest_slices(found), *other_slice_tables(found)]
    text = f"Accuracy by true class. The interval (95 %) is over {found.noun[1]}; a dash: no photo, so no score."
    return section("Scores within groups", text, *map(table_markdown, tables))


def _what(noun: Noun) -> str:
    unseen = "it" if noun == PHOTOS else f"its {noun[0]}"
    return (
        "All scores are of out-of-fold predictions: every photo is predicted by a network that was not trained on "
        f"{unseen}. Macro-F1 is the mean F1 over classes."
    )


def _interval_table(rows: ScoredRows) -> Table:
    """Return macro-F1 with the confidence interval, and that of as many new groups, per task and of all tasks."""
    found, tasks = rows.evaluation, task_intervals(rows.labelled)
    scores = {name: one.macro_f1 for name, one in found.scores.tasks.items()}
    if len(scores) > 1:
        scores = {"all tasks": found.scores.macro_f1, **scores}
        if found.interval and found.prediction:
            tasks["all tasks"] = ScoreIntervals(found.interval, found.prediction)
    cells = [[name, number(score), *_ends(tasks.get(name))] for name, score in scores.items()]
    level = percent(found.interval.level) if found.interval else "95 %"
    new = "photos" if found.people is None else found.noun[1]
    head = ["task", "macro-F1", f"{level} interval", f"as many new {new}"]
    return Table(head, cells, "Macro-F1 with intervals")


def _ends(found: ScoreIntervals | None) -> list[str]:
    if found is None:
        return ["-", "-"]
    return [span(one.low, one.high) for one in (found.confidence, found.prediction)]


def _calibration(reported: ReportedRun, found: Evaluation) -> list[str]:
    if found.qualities is None or math.isnan(found.qualities.joint.ece):
        return ["The calibration error is not known: the run has no probabilities with known labels."]
    saved = reported.calibration
    table = quality_table(quality_pairs(found.qualities, saved.after if saved else None), saved)
    if saved is None:
        note = "The run is not calibrated (maskcls calibrate): probabilities are used as they are."
    else:
        note = "Probabilities are scaled by these temperatures only where a decision rule is used (predict --decide)."
    return [table_markdown(table), note]
