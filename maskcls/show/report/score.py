"""The score of a run: both intervals, the spread over folds, and what the score depends on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from maskcls.groupnouns import PHOTOS, Noun
from maskcls.results.scores.evaluation import Evaluation
from maskcls.runs.records.unsealed import SealedScore
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.runs.summary import GroupGain, RunSummary
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import NO_GAIN, classes_scored, new_people, number, number_of, percent, plural, span
from maskcls.show.training.baseline import baseline_line

SECOND = 0.28  # inches a line of a figure with names needs


def score_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any]:
    """Return the headline, a figure of the intervals and folds, and the folds' scores; a leaky run has only a note."""
    return {
        "status": reported.record.status,
        "headline": score_headline(reported),
        "lines": run_score_lines(reported),
        "figures": _figures(reported, settings.prefix),
        "tasks": task_score_table(reported.rows.evaluation) if reported.rows else None,
        "folds": fold_score_table(reported.summary, reported.rows.evaluation) if reported.rows else None,
    }


def _figures(reported: ReportedRun, prefix: str) -> list[Figure]:
    """Return the figure of the intervals, where there is a score."""
    if reported.rows is None or math.isnan(reported.rows.evaluation.scores.macro_f1):
        return []
    return [score_figure(reported.rows.evaluation, prefix)]


def score_figure(found: Evaluation, prefix: str) -> Figure:
    """Draw the macro-F1 with both intervals, and the score of each fold."""
    many = found.noun[1]
    score, folds = found.scores.macro_f1, [one.macro_f1 for one in found.folds.values()]
    who = "images" if found.people is None else found.noun[1]
    rows = [["all rows", number(score), "", ""]]
    spans: list[tuple[str, float, float, float]] = []
    if found.interval and found.prediction:
        spans = [
            (f"{percent(found.interval.level)} interval", found.interval.low, found.interval.high, 6.0),
            (f"{found.prediction.people:,} new {who}", found.prediction.low, found.prediction.high, 2.0),
        ]
    rows += [[name, "", number(low), number(high)] for name, low, high, _ in spans]
    rows += [[f"fold {k}", number(value), "", ""] for k, value in zip(found.folds, folds, strict=True)]

    def paint(axes: Any) -> None:
        blue, orange = palette.SERIES[0].light, palette.SERIES[1].light
        for y, (_, low, high, width) in enumerate(spans):
            axes.plot([low, high], [y, y], color=blue, linewidth=width, solid_capstyle="butt")
            axes.plot([score], [y], "o", color=blue, markersize=8)
        names = [name for name, *_ in spans]
        if folds:
            axes.plot(folds, [len(names)] * len(folds), "o", color=orange, markersize=7, fillstyle="none")
            names.append("folds")
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("macro-F1 of the joint classes" if len(found.scores.tasks) > 1 else "macro-F1")
        axes.grid(axis="y", visible=False)

    return Figure(
        f"{prefix}score-intervals",
        "Macro-F1 with its intervals",
        f"The dot is the score of all out-of-fold rows. The thick bar is where the score on all {many} of this kind "
        f"lies, the thin bar where the score of as many new {many} may lie. Circles are single folds.",
        Table(["of", "macro-F1", "low", "high"], rows),
        paint,
        size=(5.0, 1.2 + SECOND * (len(spans) + 1)),
    )


def score_headline(reported: ReportedRun) -> str:
    """Return the score in one sentence, or why there is none."""
    if reported.rows is None:
        return f"The run is leaky: its networks were trained on its validation {reported.noun[1]}, so it has no score."
    scores = reported.rows.evaluation.scores
    if math.isnan(scores.macro_f1):
        return "No row has a label of every task, so there is no joint score."
    return f"Macro-F1 {number(scores.macro_f1)}" + classes_scored(scores.classes_scored, len(scores.joint.classes))


def run_score_lines(reported: ReportedRun) -> list[str]:
    """Return sentences about the score: the intervals first, then what it depends on."""
    lines: list[str] = []
    if reported.rows is not None:
        lines += [*_interval_lines(reported.rows.evaluation), *_spread(reported.summary)]
        lines += [*_group_lines(reported.summary.groups), *_selection_lines(reported)]
        if baseline := reported.summary.baseline:
            line = baseline_line(baseline)
            lines.append(f"{line[0].upper()}{line[1:]}.")
    wanted, trained = reported.config.folds.k, len(reported.summary.folds)
    if trained < wanted:
        lines.append(
            f"{trained} of {plural(wanted, 'fold')} trained: {reported.noun[1]} of the others have no prediction."
        )
    if seeds := reported.summary.seeds:
        alone = ", ".join(f"seed {seed} {number(one.get('macro_f1'))}" for seed, one in seeds.items())
        lines.append(f"Networks of several seeds are averaged. Macro-F1 of each seed alone: {alone}.")
    if reported.sealed:
        lines.append(_sealed_line(reported.sealed, reported.noun))
    elif reported.config.folds.sealed:
        lines.append(f"Sealed {reported.noun[1]} are not scored yet; no part of this page has seen them.")
    return lines


def _sealed_line(sealed: SealedScore, noun: Noun) -> str:
    found = sealed.interval
    ends = f", {percent(found.level)} interval {span(found.low, found.high)}" if found else ""
    return (
        f"Sealed {noun[1]}, scored on {sealed.date[:10]}: macro-F1 {number(sealed.scores.macro_f1)}{ends}, "
        f"{number_of(sealed.people, noun)}, {plural(sealed.rows, 'photo')}."
    )


def _interval_lines(found: Evaluation) -> list[str]:
    scores = found.scores
    if math.isnan(scores.macro_f1):
        return []
    right = " (right in every task)" if len(scores.tasks) > 1 else ""
    lines = [f"Accuracy {number(scores.accuracy)}{right}, {plural(scores.rows, 'photo')}."]
    if found.interval:
        who = "photos" if found.people is None else number_of(found.people, found.noun)
        together = "" if found.noun == PHOTOS else " with all their photos"
        ends = span(found.interval.low, found.interval.high)
        lines.append(f"{percent(found.interval.level)} interval {ends}, from {who}{together}.")
    if found.prediction:
        sentence = new_people(found.prediction, "images" if found.people is None else found.noun[1])
        lines.append(f"{sentence[0].upper()}{sentence[1:]}.")
    if found.rankings and found.qualities:
        quality = found.qualities.joint
        lines.append(
            f"ROC-AUC {number(found.rankings.joint.macro_auc)}, log loss {number(quality.log_loss)}, "
            f"calibration error {number(quality.ece)}."
        )
    return lines


def _spread(summary: RunSummary) -> list[str]:
    mean, sd = summary.mean.get("macro_f1"), summary.sd.get("macro_f1")
    if mean is None or sd is None or len(summary.folds) < 2:
        return []
    return [f"Over {len(summary.folds)} folds: mean {number(mean)}, standard deviation {number(sd)}."]


def _group_lines(groups: GroupGain | None) -> list[str]:
    """Say whether similar photos are averaged, and with what gain."""
    if groups is None:
        return []
    gain = groups.gain and f"{groups.gain.value:+.4f}, {percent(groups.gain.level)} interval " + span(
        groups.gain.low, groups.gain.high, sign=True
    )
    if groups.averaged:
        return [
            f"Predictions of {', '.join(groups.tasks)} are averaged within groups of similar photos. "
            f"Without: macro-F1 {number(groups.alone)}." + (f" Gain {gain}." if gain else "")
        ]
    measured = f" ({gain})" if gain else ""
    return [f"Predictions are not averaged within groups of similar photos: {NO_GAIN}{measured}."]


def _selection_lines(reported: ReportedRun) -> list[str]:
    found = reported.summary.selection
    if reported.config.model.train == "heads":
        return [f"Strengths of heads were chosen within each fold's training {reported.noun[1]}, not on these rows."]
    if found is None:
        return ["Each fold's epoch was chosen by its own rows, so this score is slightly too high."]
    if found.gain is None:
        return []
    ends = span(found.gain.low, found.gain.high, sign=True)
    return [
        f"Epochs are chosen by the rows of the other folds (train.select={found.by}): {found.gain.value:+.4f} over the "
        f"last epochs, {percent(found.gain.level)} interval {ends}."
    ]


def task_score_table(found: Evaluation) -> Table:
    """Return macro-F1, accuracy, photos and classes of the joint classes and of each task."""
    rows = [[name, *_scored(one)] for name, one in found.scores.tasks.items()]
    if len(rows) > 1:
        rows.insert(0, ["all tasks", *_scored(found.scores.joint)])
    return Table(["task", "macro-F1", "accuracy", "photos", "classes"], rows, "Scores by task")


def _scored(one: Any) -> list[str]:
    return [number(one.macro_f1), number(one.accuracy), f"{one.rows:,}", f"{one.classes_scored} of {len(one.classes)}"]


def fold_score_table(summary: RunSummary, found: Evaluation) -> Table | None:
    """Return macro-F1 by fold, joint and by task, with mean and standard deviation; None without folds."""
    if not found.folds:
        return None
    names = list(found.scores.tasks) if len(found.scores.tasks) > 1 else []
    rows = [
        [f"fold {k}", number(one.macro_f1), *(number(one.tasks[name].macro_f1) for name in names), f"{one.rows:,}"]
        for k, one in found.folds.items()
    ]
    if len(found.folds) > 1:
        keys = ["macro_f1", *names]
        rows += [["mean", *(number(summary.mean.get(key)) for key in keys), ""]]
        rows += [["standard deviation", *(number(summary.sd.get(key)) for key in keys), ""]]
    return Table(["fold", "all tasks" if names else "macro-F1", *names, "photos"], rows, "Macro-F1 by fold")
