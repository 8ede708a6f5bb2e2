"""Which classes are taken for which: a matrix per task and of the joint classes, or the most frequent mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskcls.results.scores.evaluation import Confusion, confusion_of
from maskcls.results.scores.slices import Mistake, mistakes_of
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number, plural

JOINT = "joint classes"  # no task has this name: it has a space
MOST_CLASSES = 36  # of a matrix; more cells than a page can show
FEW_CLASSES = 6  # of a matrix that fits on a phone
FREQUENT = 20
STRONGEST = 0.5  # opacity of a cell with the whole row: text on it is still readable


def confusion_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return a matrix for each labelling of few enough classes, and the most frequent mistakes of the others."""
    if reported.rows is None:
        return None
    labelled, space = reported.rows.labelled, reported.rows.labelled.space
    found = dict(reported.rows.evaluation.confusion)
    if len(space.tasks) > 1:
        found[JOINT] = confusion_of(space.encode(labelled.truth), labelled.pred_N, space.joint_names)
    figures, tables = [], []
    for place, (name, one) in enumerate(found.items()):
        if 0 < len(one.classes) <= MOST_CLASSES and one.counts_CC.any():
            figures.append(confusion_figure(name, one, f"{settings.prefix}confusion-{place}"))
        if name == JOINT or len(one.classes) > MOST_CLASSES:
            tables.append(mistake_table(name, one))
    return {
        "small": [one for one in figures if not one.wide],
        "wide": [one for one in figures if one.wide],
        "tables": [one for one in tables if one.rows],
    }


def confusion_figure(title: str, one: Confusion, name: str) -> Figure:
    """Draw a matrix of shares of the true class; the table also has the numbers of photos."""
    size = len(one.classes)
    shares = one.shares
    wide = size > FEW_CLASSES
    longest = max(map(len, one.classes))

    def paint(axes: Any) -> None:
        from matplotlib.patches import Rectangle

        blue = palette.SERIES[0].light
        for true, (counts, row) in enumerate(zip(one.counts_CC.tolist(), shares, strict=True)):
            for given, (count, share) in enumerate(zip(counts, row, strict=True)):
                if count:
                    cell = Rectangle(
                        (given - 0.5, true - 0.5), 1, 1, facecolor=blue, alpha=STRONGEST * share, linewidth=0
                    )
                    axes.add_patch(cell)
                    axes.text(given, true, f"{share:.2f}", ha="center", va="center", fontsize=8 if wide else 10)
        axes.set_xlim(-0.5, size - 0.5)
        axes.set_ylim(size - 0.5, -0.5)
        axes.set_xticks(range(size), one.classes, rotation=90 if wide else 0, fontsize=9)
        axes.set_yticks(range(size), one.classes, fontsize=9)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.grid(visible=False)

    side = 0.42 * size + 0.09 * longest + 1.0 if wide else 4.2
    return Figure(
        name,
        f"Confusion: {title}",
        f"Rows: true class. Columns: predicted class. Each number is the share of the true class; empty: no photo. "
        f"Cohen's kappa {number(one.kappa)} (agreement beyond chance; 1: always equal, 0: as by chance).",
        _matrix_table(one),
        paint,
        size=(max(side, 5.0), side * 0.9) if wide else (4.6, 0.5 * size + 1.3),
        wide=wide,
    )


def mistake_table(title: str, one: Confusion) -> Table:
    """Return the most frequent mistakes of a labelling."""
    found = mistakes_of(one.counts_CC, one.classes)
    wrong = sum(mistake.rows for mistake in found)
    shown = found[:FREQUENT]
    pairs, photos = plural(len(found), "pair"), plural(wrong, "wrong photo")
    caption = f"Most frequent mistakes: {title} ({len(shown)} of {pairs}, {photos})"
    return Table(["true", "predicted", "photos", "share of true class"], _mistake_rows(shown), caption)


def _mistake_rows(found: Sequence[Mistake]) -> list[list[str]]:
    return [[one.true, one.predicted, f"{one.rows:,}", number(one.share)] for one in found]


def _matrix_table(one: Confusion) -> Table:
    rows = [
        [
            name,
            *(f"{count:,} ({number(share, 3)})" if count else "0" for count, share in zip(counts, shares, strict=True)),
        ]
        for name, counts, shares in zip(one.classes, one.counts_CC.tolist(), one.shares, strict=True)
    ]
    return Table(["true, by predicted", *one.classes], rows)
