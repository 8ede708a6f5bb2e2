"""Scores of each class with its support: how many photos and people it has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maskcls.groupnouns import PHOTOS, Noun
from maskcls.results.scores.metrics import ClassScore
from maskcls.results.scores.slices import Slice
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.answers.evaluation import class_cells
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number, number_or_dash

MOST_BARS = 40
COLUMNS_X = (1.28, 1.56)  # where the columns of numbers end; the bars end at 1


@dataclass(frozen=True)
class _Bar:
    score: ClassScore
    people: int | None
    auc: float

    @property
    def f1(self) -> float:
        """The F1, NaN for a class that is neither true nor predicted anywhere."""
        return self.score.f1 if self.score.support or self.score.predicted else math.nan

    @property
    def support(self) -> tuple[str, str]:
        """Photos and people of the class, as text; no people where they are not known."""
        return f"{self.score.support:,}", "" if self.people is None else f"{self.people:,}"


def classes_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return a figure and a table for each task and for the joint classes."""
    if reported.rows is None:
        return None
    found, space = reported.rows.evaluation, reported.rows.labelled.space
    bars: dict[str, list[_Bar]] = {}
    for task in space.tasks:
        of_task = [one for one in found.by_class if list(one.classes) == [task.name]]
        aucs = found.rankings.tasks[task.name].auc_by_class if found.rankings else None
        bars[task.name] = _bars(found.scores.tasks[task.name].classes, of_task, aucs)
    if len(space.tasks) > 1:
        aucs = found.rankings.joint.auc_by_class if found.rankings else None
        bars["joint classes"] = _bars(found.scores.joint.classes, found.by_joint, aucs)
    return {
        "figures": [
            class_figure(name, some, f"{settings.prefix}classes-{place}", reported.noun)
            for place, (name, some) in enumerate(bars.items())
            if any(one.score.support for one in some)
        ]
    }


def class_figure(title: str, bars: Sequence[_Bar], name: str, noun: Noun) -> Figure:
    """Draw the F1 of each class, with its photos and people; of very many classes the lowest."""
    shown = list(bars)
    if len(shown) > MOST_BARS:
        scored = [one for one in bars if not math.isnan(one.f1)]
        shown = sorted(scored, key=lambda one: one.f1)[:MOST_BARS]

    def paint(axes: Any) -> None:
        f1 = [0.0 if math.isnan(one.f1) else one.f1 for one in shown]
        axes.barh(range(len(shown)), f1, height=0.66, color=palette.SERIES[0].light)
        heads = ("photos", noun[1] if any(one.people is not None for one in shown) else "")
        for y, cells in enumerate([heads, *(one.support for one in shown)], -1):
            for x, text in zip(COLUMNS_X, cells, strict=True):
                axes.text(x, y, text, ha="right", va="center", fontsize=9)
        axes.set_yticks(range(len(shown)), [one.score.name for one in shown], fontsize=9)
        axes.set_ylim(len(shown) - 0.4, -1.5)
        axes.set_xlim(0, COLUMNS_X[1])
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.spines["bottom"].set_bounds(0, 1)
        axes.set_xlabel("F1", x=0.5 / COLUMNS_X[1])
        axes.grid(axis="y", visible=False)

    counted = "photos" if noun == PHOTOS else f"photos and {noun[1]}"
    part = f"The {len(shown)} of {len(bars)} classes with the lowest F1. " if len(shown) < len(bars) else ""
    return Figure(
        name,
        f"F1 by class: {title}",
        f"{part}Right of each bar: {counted} of the class. Scores of classes with few {noun[1]} vary much.",
        _class_table(bars, noun),
        paint,
        size=(5.0, 0.26 * len(shown) + 1.2),
    )


def _bars(scores: Sequence[ClassScore], slices: Sequence[Slice], aucs: Sequence[float] | None) -> list[_Bar]:
    found = aucs or [math.nan] * len(scores)
    return [_Bar(one, part.people, auc) for one, part, auc in zip(scores, slices, found, strict=True)]


def _class_table(bars: Sequence[_Bar], noun: Noun) -> Table:
    groups = [] if noun == PHOTOS else [noun[1]]
    head = ["class", "F1", "precision", "recall", "photos", "predicted", *groups, "ROC-AUC"]
    rows = [
        [one.score.name, *class_cells(one.score), *(number_or_dash(one.people) for _ in groups), number(one.auc)]
        for one in bars
    ]
    return Table(head, rows)
