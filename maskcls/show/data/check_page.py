"""The HTML page of `maskcls data check`: findings with their photos, classes, error rates, train against eval."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcls.data.duplicates.threshold import Threshold
from maskcls.data.findings import DataFinding, meaning
from maskcls.errors import visible
from maskcls.groupnouns import PEOPLE, PHOTOS, with_article
from maskcls.show.data.check import DataCheck, case_text
from maskcls.show.data.class_counts import class_counts
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.page import render_page, write_page
from maskcls.show.pages.photos import PagePhoto, photo_or_placeholder
from maskcls.show.pages.table import Table
from maskcls.show.terminal.text import number_of, plural

CASES = 50  # of a finding on the page; --json has all
CASE_PHOTOS = 8


@dataclass(frozen=True)
class CheckedPhotos:
    """One case of a finding: what is said of it, and its photos."""

    text: str
    photos: tuple[PagePhoto, ...]


@dataclass(frozen=True)
class FindingSection:
    """A finding with its cases; left_out: how many more there are."""

    id: str
    title: str
    level: str
    count: str
    cases: tuple[CheckedPhotos, ...]
    left_out: int


def write_check_page(found: DataCheck, page: Path, *, name: str, photos: bool, force: bool) -> None:
    """Write the page; `photos`: embed the photos of the cases, else they are links. Raises as `write_page`."""
    sections = [_section(one, found, page, photos) for one in found.findings]
    html = render_page(
        "check",
        title=f"Data check: {name}",
        summary=_summary(found),
        findings=Table(
            ["level", "finding", "count"],
            [[one.level, one.title, one.count] for one in sections],
            "Errors are what train refuses; a warning can make a score wrong.",
        ),
        sections=sections,
        figures=[_class_figure(found), *([_pixel_figure(found)] if found.shift else [])],
        rates=_rates(found),
        tests=_tests(found),
        shares=_shares(found),
        grouped=found.shift is None or found.shift.grouped,
        one=found.noun[0],
        many=found.noun[1],
        a=with_article(found.noun[0]),
    )
    write_page(page, html, force=force)


def _summary(found: DataCheck) -> str:
    parts = []
    for part, frame in found.frames.items():
        people = found.people(part)
        parts.append(
            f"{part}: {plural(len(frame), 'photo')}"
            + (f" of {number_of(people, found.noun)}" if people and found.noun != PHOTOS else "")
        )
    return "; ".join(parts) + "."


def _section(finding: DataFinding, found: DataCheck, page: Path, embed: bool) -> FindingSection:
    cases = []
    for item in finding.items[:CASES]:
        pictures = tuple(
            photo_or_placeholder(found.root / path, visible(path), page=page, embed=embed)
            for path in item.paths[:CASE_PHOTOS]
        )
        text = case_text(item) if embed else item.text
        cases.append(CheckedPhotos(visible(text), pictures))
    return FindingSection(
        finding.kind,
        meaning(finding.kind, found.noun),
        finding.level,
        f"{len(finding.items):,}",
        tuple(cases),
        max(0, len(finding.items) - CASES),
    )


def _class_figure(found: DataCheck) -> Figure:
    rows, many = class_counts(found.frames["train"], found.space), found.noun[1]
    names = [f"{task} {label}" for task, label, _, _ in rows]
    tasks = list(dict.fromkeys(task for task, *_ in rows))
    colours = [palette.SERIES[tasks.index(task) % len(palette.SERIES)].light for task, *_ in rows]

    def paint(axes: Any) -> None:
        axes.barh(names, [people for *_, people, _ in rows], color=colours)
        axes.invert_yaxis()
        axes.set_xlabel(f"{many} with a photo of the class")

    alone = found.noun == PHOTOS
    head = ["task", "class", *([] if alone else [many]), "photos"]
    table = Table(head, [[t, c, *([] if alone else [f"{p:,}"]), f"{n:,}"] for t, c, p, n in rows])
    who = f"{many.capitalize()} {'who' if found.noun == PEOPLE else 'that'} have at least one photo of the class"
    text = f"{'Photos of the class' if alone else who}, in the rows to train on."
    return Figure("classes", f"{many.capitalize()} per class", text, table, paint, size=(5.0, 0.8 + 0.32 * len(rows)))


def _pixel_figure(found: DataCheck) -> Figure:
    assert found.shift is not None
    rows = found.shift.pixels

    def paint(axes: Any) -> None:
        sizes = [max(-5.0, min(5.0, one.difference_sd)) for one in rows]
        axes.barh([one.name for one in rows], sizes, color=palette.SERIES[0].light)
        axes.axvline(0, color=palette.MUTED.light, linewidth=1)
        axes.invert_yaxis()
        axes.set_xlabel(f"eval minus train, in standard deviations over {found.noun[1]}")

    cells = [[r.name, f"{r.first:.2f}", f"{r.second:.2f}", f"{r.difference_sd:+.2f}", f"{r.p:.3f}"] for r in rows]
    table = Table(["figure", "train", "eval", "difference in sd", "p (Holm)"], cells)
    text = f"Difference of the means over {found.noun[1]}; bars end at 5 standard deviations."
    return Figure("pixels", "Pixel statistics, eval against train", text, table, paint)


def _rates(found: DataCheck) -> Table:
    one, many = found.noun
    named = ((f"of different {many}", found.near.across), (f"of one {one}", found.near.within))
    rows = [[name, *_rate_cells(rate)] for name, rate in named if rate is not None]
    head = ["pairs", "compared", "agreement from", "made copies found", "expected false pairs", "per 100,000"]
    return Table(head, rows, "Near duplicates: error rates of the thresholds, with 95 % intervals")


def _rate_cells(one: Threshold) -> list[str]:
    share, low, high = one.recall
    found = f"{share:.1%} ({low:.1%} to {high:.1%})"
    if one.false_pairs is None or one.low is None or one.high is None:
        return [f"{one.pairs:,}", f"{one.score:.3f}", found, "unknown: too few pairs", "-"]
    false = f"{one.false_pairs:.2g} ({one.low:.2g} to {one.high:.2g})"
    return [f"{one.pairs:,}", f"{one.score:.3f}", found, false, f"{1e5 * one.false_pairs / max(one.pairs, 1):.2g}"]


def _tests(found: DataCheck) -> Table:
    tests = found.shift.tests if found.shift else {}
    rows = [
        [name, f"{one.auc:.3f}", f"{one.chance:.3f}", f"{one.p:.3f}", f"{one.people:,}", f"{one.photos:,}"]
        for name, one in tests.items()
    ]
    head = ["compared", "AUC", "by chance up to", "p", found.noun[1], "photos"]
    return Table(head, rows, f"Can eval photos be told from train photos of other {found.noun[1]}?")


def _shares(found: DataCheck) -> Table:
    shares = found.shift.shares if found.shift else ()
    rows = [
        [
            one.task,
            one.label,
            f"{one.known:.1%} ({one.known_low:.1%} to {one.known_high:.1%})",
            f"{one.share:.1%} ({one.low:.1%} to {one.high:.1%})",
            "differs" if one.differs else "-",
        ]
        for one in shares
    ]
    head = ["task", "class", "share in train", "estimated share in eval", "verdict"]
    return Table(head, rows, f"Class shares, with 99 % intervals over {found.noun[1]}")
