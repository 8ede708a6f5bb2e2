"""Tasks whose bands are cut out of a number, such as the age: score by the true number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskcls.groupnouns import PHOTOS, Noun
from maskcls.labels import Task
from maskcls.results.scores.by_value import ValueScore, value_scores
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number, number_or_dash, plural


def values_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return a figure for each task with known numbers; None where there is none."""
    if reported.rows is None:
        return None
    labelled = reported.rows.labelled
    figures: list[Figure] = []
    names = []
    part_of = labelled.space.decode(labelled.pred_N)
    for name, value_N in reported.rows.values.items():
        task = labelled.space.task(name)
        if found := value_scores(value_N, part_of[name], task, labelled.people_N):
            figures.append(value_figure(task, found, f"{settings.prefix}values-{len(figures)}", reported.noun))
            names.append(name)
    return {"title": f"Score by true {' and '.join(names)}", "figures": figures} if figures else None


def value_figure(task: Task, found: Sequence[ValueScore], name: str, noun: Noun) -> Figure:
    """Draw the share of right photos by true number, with intervals, and the borders of the bands."""
    what = f"true {task.name}{' (years)' if task.name == 'age' else ''}"
    middles = [(one.low + one.high) / 2 for one in found]
    half = max(one.high - one.low + 1 for one in found) / 2

    def paint(axes: Any) -> None:
        blue, orange, purple = (palette.SERIES[place].light for place in (0, 1, 3))
        for border in task.bins:
            axes.axvline(border - 0.5, color=palette.MUTED.light, linestyle="--", linewidth=1)
            axes.annotate(f"{border}", (border - 0.5, 1.03), ha="center", va="bottom", annotation_clip=False)
        low = [one.interval.low if one.interval else one.right for one in found]
        high = [one.interval.high if one.interval else one.right for one in found]
        axes.vlines(middles, low, high, color=blue, linewidth=1.2, alpha=0.6)
        axes.plot(middles, [one.right for one in found], "o", color=blue, markersize=5, label="right band")
        first, last = task.classes[0], task.classes[-1]
        lower = [(x, one.lower) for x, one in zip(middles, found, strict=True) if one.band != first]
        higher = [(x, one.higher) for x, one in zip(middles, found, strict=True) if one.band != last]
        for points, mark, colour, label in ((lower, "v", orange, "lower band"), (higher, "^", purple, "higher band")):
            x, y = [x for x, _ in points], [y for _, y in points]
            axes.plot(x, y, mark, color=colour, markersize=4, fillstyle="none", label=label)
        axes.set_xlim(found[0].low - half, found[-1].high + half)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel(what)
        axes.set_ylabel("share of photos")
        axes.figure.legend(loc="outside lower left", ncols=3)

    return Figure(
        name,
        f"{task.name}: share of photos given the right band",
        f"Dashed lines: the borders of the bands ({', '.join(map(str, task.bins))}). Vertical bars: 95 % interval over "
        f"{noun[1]}. Triangles: share given a lower or a higher band. "
        f"{plural(sum(one.rows for one in found), 'photo')} with a known number.",
        _value_table(what, found, noun),
        paint,
        size=(9.0, 3.6),
        wide=True,
    )


def _value_table(what: str, found: Sequence[ValueScore], noun: Noun) -> Table:
    groups = [] if noun == PHOTOS else [noun[1]]
    rows = [
        [
            one.name,
            one.band,
            f"{one.rows:,}",
            *(number_or_dash(one.people) for _ in groups),
            number(one.right, 3),
            f"{one.interval.low:.2f}-{one.interval.high:.2f}" if one.interval else "-",
            number(one.lower, 3),
            number(one.higher, 3),
        ]
        for one in found
    ]
    return Table([what, "band", "photos", *groups, "right", "95 %", "given lower", "given higher"], rows)
