"""The page of `maskcls synth judge`: the verdict on each table, gains with intervals, classes, and some samples."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from maskcls.csvfile import read_columns
from maskcls.results.synth.verdict import Gap, TableVerdict
from maskcls.show.arms.verdict_text import (
    SCREENING,
    ArmsVerdict,
    recommendation,
    steps_line,
    verdict_lines,
)
from maskcls.show.pages import palette
from maskcls.show.pages.figure import WIDTH, Figure
from maskcls.show.pages.page import render_page, write_page
from maskcls.show.pages.photos import PagePhoto, photo_or_placeholder
from maskcls.show.pages.table import Table
from maskcls.show.terminal.text import number, plural, span

MOST_PHOTOS = 18
ROW = 0.28  # inches of a class in a figure


def write_verdict_page(path: Path, found: ArmsVerdict, *, force: bool) -> None:
    """Write the page; raises as `write_page`."""
    about = f"{plural(found.rows, 'row')} of {found.people:,} {found.noun[1]}, {found.rare_people:,} of them with "
    about += f"{found.rare_text}; {plural(len(found.seeds), 'seed')}; {steps_line(found)}."
    if found.fit == "heads":
        about += f" A {SCREENING}."
    tables = [_shown(found, one, place, path) for place, one in enumerate(found.verdict.tables)]
    html = render_page(
        "verdict",
        title="Do the samples help?",
        recommendation=recommendation(found),
        about=about,
        tables=tables,
        settings=_settings(found),
        many=found.noun[1],
        tried=plural(found.verdict.tried, "table"),
    )
    write_page(path, html, force=force)


def _shown(found: ArmsVerdict, table: TableVerdict, place: int, page: Path) -> dict[str, Any]:
    figures = [_gain_figure(table, place, found)]
    figures += [_class_figure(found, gap, f"classes-{place}-{number}") for number, gap in enumerate(table.gaps)]
    return {
        "title": table.arm,
        "outcome": table.outcome.replace(" ", "-"),
        "lines": list(verdict_lines(found, table)),
        "arms": _arms(found, table),
        "figures": figures,
        "photos": _photos(Path(found.facts(table.arm).samples), page) if found.facts(table.arm).samples else [],
    }


def _arms(found: ArmsVerdict, table: TableVerdict) -> Table:
    gaps, rows = {gap.other: gap.difference for gap in table.gaps}, []
    for score in found.verdict.arms:
        if score.name != table.arm and score.name not in gaps:
            continue
        gain = gaps.get(score.name)
        cells = ["-", "-"] if gain is None else [number(gain.value, sign=True), span(gain.low, gain.high, sign=True)]
        minutes = f"{found.facts(score.name).minutes:.1f}"
        rows.append([score.name, number(score.mean), number(score.deviation), *cells, minutes])
    percent = f"{100 * found.verdict.level:.4g} % interval"
    head = ["arm", "macro-F1", "sd over seeds", f"gain of {table.arm}", percent, "minutes"]
    return Table(head, rows, f"Every arm, and the gain of {table.arm} over it")


def _settings(found: ArmsVerdict) -> Table:
    rows = [
        [one.name, ", ".join(one.changed) or "-", "-" if one.steps is None else f"{one.steps:,}"] for one in found.arms
    ]
    return Table(["arm", "settings", "steps of a seed"], rows, "What each arm changes of the configuration")


def _gain_figure(table: TableVerdict, place: int, found: ArmsVerdict) -> Figure:
    rows = [[gap.other, *_cells(gap.difference)] for gap in table.gaps]
    text = f"The gain in macro-F1 of {table.arm} over each other arm, with intervals; right of 0 it is better."
    return Figure(
        f"gain-{place}",
        f"Gain of {table.arm}",
        text,
        Table(["over", "gain", "low", "high"], rows),
        partial(_paint_gains, names=[gap.other for gap in table.gaps], found=[gap.difference for gap in table.gaps]),
        (WIDTH, 1.1 + ROW * len(table.gaps)),
    )


def _class_figure(found: ArmsVerdict, gap: Gap, name: str) -> Figure:
    names = [found.space.joint_names[one.joint] for one in gap.classes]
    rows = [[label, f"{one.people:,}", *_cells(one.difference)] for label, one in zip(names, gap.classes, strict=True)]
    text = f"The change in F1 of every joint class against {gap.other}, with intervals that hold for one class alone."
    return Figure(
        name,
        f"F1 of the classes against {gap.other}",
        text,
        Table(["class", found.noun[1], "gain", "low", "high"], rows),
        partial(_paint_gains, names=names, found=[one.difference for one in gap.classes]),
        (WIDTH, 1.1 + ROW * len(names)),
    )


def _cells(one: Any) -> list[str]:
    return [number(value, sign=True) for value in (one.value, one.low, one.high)]


def _paint_gains(axes: Any, *, names: list[str], found: list[Any]) -> None:
    places = range(len(names))
    ends = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
    axes.errorbar([one.value for one in found], places, xerr=ends, fmt="o", capsize=3)
    axes.axvline(0, color=palette.MUTED.light, linewidth=1)
    axes.set_yticks(list(places), names)
    axes.invert_yaxis()
    axes.set_xlabel("gain in F1")


def _photos(table: Path, page: Path) -> list[PagePhoto]:
    """Return some samples that are beside the table; those that are photos of the data set are not shown."""
    paths = [table.parent / one for one in read_columns(table)["path"]]
    paths = [path for path in paths if path.is_file()]
    step = max(1, -(-len(paths) // MOST_PHOTOS))
    return [photo_or_placeholder(path, path.stem, page=page, embed=True) for path in paths[::step]]
