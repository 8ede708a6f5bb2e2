"""Accuracy within slices of the true classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskcls.groupnouns import PHOTOS, Noun
from maskcls.results.scores.evaluation import Evaluation
from maskcls.results.scores.slices import Recall, Slice, worst
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number, number_or_dash

MOST_SLICES = 40
LOWEST = 10


def slices_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return a figure of the classes of all tasks, the lowest joint classes, and tables of the other slices."""
    if reported.rows is None:
        return None
    found = reported.rows.evaluation
    several = len(found.by_others) > 1
    scored = any(one.interval for one in found.by_class)
    lowest = lowest_slices(found) if several else None
    return {
        "figures": [slice_figure(found.by_class, f"{settings.prefix}slices-classes", found.noun)] if scored else [],
        "classes": lowest if scored else slice_table(found.by_class, "Classes of each task", found.noun),
        "tables": other_slice_tables(found) if several else [],
    }


def slice_figure(slices: Sequence[Slice], name: str, noun: Noun) -> Figure:
    """Draw the share of photos that are right in every task, by true class, with intervals."""
    scored = [one for one in slices if one.interval is not None]
    shown = scored if len(scored) <= MOST_SLICES else list(worst(scored, MOST_SLICES))
    right = "right in every task" if slices and len(slices[0].tasks) > 1 else "right"
    labels = [f"{task}: {label}" for one in shown for task, label in one.classes.items()]

    def paint(axes: Any) -> None:
        for y, one in enumerate(shown):
            assert one.interval is not None
            axes.plot([one.interval.low, one.interval.high], [y, y], color=palette.SERIES[0].light)
            axes.plot([one.accuracy], [y], "o", color=palette.SERIES[0].light, markersize=6)
        axes.set_yticks(range(len(shown)), labels)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel(f"share of photos {right}")
        axes.grid(axis="y", visible=False)

    part = f"The {len(shown)} of {len(scored)} classes with the lowest share. " if len(shown) < len(scored) else ""
    return Figure(
        name,
        f"{right.capitalize()}, by true class",
        f"{part}Dots: share of the photos of this class that are {right}. Lines: 95 % interval over {noun[1]}.",
        slice_table(slices, "", noun),
        paint,
        size=(5.0, 0.3 * len(shown) + 0.9),
    )


def slice_table(slices: Sequence[Slice], caption: str, noun: Noun) -> Table:
    """Return the slices with their photos, people, share right in all tasks with its interval, and in each task."""
    tasks = list(slices[0].tasks) if slices else []
    rows = [
        [
            one.name,
            f"{one.rows:,}",
            *_counts(one.people, noun),
            number(one.accuracy),
            f"{one.interval.low:.2f}-{one.interval.high:.2f}" if one.interval else "-",
            *(number(value, 3) for value in one.tasks.values()),
        ]
        for one in slices
    ]
    return Table(["true class", "photos", *_groups(noun), "right", "95 %", *tasks], rows, caption)


def lowest_slices(found: Evaluation) -> Table:
    """Return the joint classes with the lowest share of right photos."""
    shown = worst(found.by_joint, LOWEST)
    return slice_table(shown, f"The {len(shown)} joint classes with the lowest share of right photos", found.noun)


def other_slice_tables(found: Evaluation) -> list[Table]:
    """Return, for each task, its accuracy within the others' classes, and where its last band is missed."""
    others = [_others_table(name, slices, found.noun) for name, slices in found.by_others.items()]
    return [*others, *(_band_table(name, recalls, found.noun) for name, recalls in found.last_band.items())]


def _others_table(name: str, slices: Sequence[Slice], noun: Noun) -> Table:
    rows = [
        [one.name, f"{one.rows:,}", *_counts(one.people, noun), number(one.tasks[name])] for one in slices if one.rows
    ]
    return Table(["true classes of the other tasks", "photos", *_groups(noun), "accuracy"], rows, f"Accuracy of {name}")


def _band_table(name: str, found: Sequence[Recall], noun: Noun) -> Table:
    rows = [
        [
            one.name,
            f"{one.rows:,}",
            *_counts(one.people, noun),
            number(one.recall),
            ", ".join(f"{other} {rows:,}" for other, rows in one.mistaken.items()) or "-",
        ]
        for one in found
        if one.rows
    ]
    head = ["true classes of the other tasks", "photos", *_groups(noun), "recall", "predicted as"]
    return Table(head, rows, f"Recall of {name} {found[0].label}")


def _groups(noun: Noun) -> list[str]:
    """Return the head of the column of groups; none where every photo is a group of its own."""
    return [] if noun == PHOTOS else [noun[1]]


def _counts(people: int | None, noun: Noun) -> list[str]:
    return [number_or_dash(people) for _ in _groups(noun)]
