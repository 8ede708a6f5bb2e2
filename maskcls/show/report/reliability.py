"""Whether probabilities mean what they say: accuracy by confidence, before and after calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskcls.errors import shell_word
from maskcls.results.decisions.calibration import Bin, Qualities, Quality
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.runs.reported.saved_calibration import SavedCalibration
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number

LARGEST = 300  # area of the mark of a bin that holds all photos, in points squared


def reliability_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return a figure for each labelling and a table of the quality; None without probabilities."""
    if reported.rows is None or reported.rows.evaluation.qualities is None:
        return None
    before = reported.rows.evaluation.qualities
    after = reported.calibration.after if reported.calibration else None
    pairs = quality_pairs(before, after)
    return {
        "figures": [
            reliability_figure(name, *pair, f"{settings.prefix}reliability-{place}")
            for place, (name, pair) in enumerate(pairs.items())
        ],
        "table": quality_table(pairs, reported.calibration),
        "note": _note(reported),
    }


def reliability_figure(title: str, before: Quality, after: Quality | None, name: str) -> Figure:
    """Draw accuracy by confidence; the diagonal is a perfect calibration."""
    lines = [("as predicted", before, "o-", palette.SERIES[0].light)]
    if after is not None:
        lines.append(("after calibration", after, "s--", palette.SERIES[1].light))

    def paint(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=palette.MUTED.light, linewidth=1)
        for label, quality, style, colour in lines:
            filled = [one for one in quality.bins if one.rows]
            x, y = [one.confidence for one in filled], [one.accuracy for one in filled]
            axes.plot(x, y, style, color=colour, linewidth=1, markersize=2.5, label=label)
            sizes = [LARGEST * one.rows / quality.rows for one in filled]
            axes.scatter(x, y, sizes, color=colour, marker=style[0], alpha=0.6, linewidths=0)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(-0.03, 1.05)
        axes.set_xlabel("confidence")
        axes.set_ylabel("accuracy")
        if len(lines) > 1:
            axes.legend(loc="upper left")

    return Figure(
        name,
        f"Reliability: {title}",
        f"Photos are sorted into {len(before.bins)} bins by their highest probability; larger marks hold more photos. "
        "Below the diagonal, probabilities are too high.",
        _bin_table(before.bins, after.bins if after else None),
        paint,
        size=(4.6, 3.4),
    )


def quality_pairs(before: Qualities, after: Qualities | None) -> dict[str, tuple[Quality, Quality | None]]:
    """Return the quality before and after, by task and of the joint classes, where rows are scored."""
    found = {name: (one, after.tasks.get(name) if after else None) for name, one in before.tasks.items()}
    if len(before.tasks) > 1:
        found["joint classes"] = (before.joint, after.joint if after else None)
    return {name: pair for name, pair in found.items() if pair[0].rows}


def _bin_table(before: Sequence[Bin], after: Sequence[Bin] | None) -> Table:
    head = ["confidence", "photos", "mean confidence", "accuracy"]
    rows = [[f"{one.low:.2f}-{one.high:.2f}", *_bin_cells(one)] for one in before]
    if after is not None:
        head += ["photos after", "mean confidence after", "accuracy after"]
        rows = [[*row, *_bin_cells(one)] for row, one in zip(rows, after, strict=True)]
    return Table(head, rows)


def _bin_cells(one: Bin) -> list[str]:
    return [f"{one.rows:,}", number(one.confidence), number(one.accuracy)]


def quality_table(pairs: Mapping[str, tuple[Quality, Quality | None]], calibration: SavedCalibration | None) -> Table:
    """Return log loss and errors before, and, where the run is calibrated, after, with the temperatures."""
    rows = []
    for name, (before, after) in pairs.items():
        rows.append([name, "as predicted", "", *_quality_cells(before)])
        if after is not None and calibration is not None:
            temperature = calibration.temperatures.get(name)
            cell = "" if temperature is None else number(temperature, 3)
            rows.append([name, "after calibration", cell, *_quality_cells(after)])
    head = ["labels", "probabilities", "temperature", "log loss", "Brier score", "calibration error"]
    return Table(head, rows, "Quality of the probabilities (lower is better)")


def _quality_cells(one: Quality) -> list[str]:
    return [number(one.log_loss), number(one.brier), number(one.ece)]


def _note(reported: ReportedRun) -> str:
    again = f"maskcls calibrate {shell_word(reported.run.path)}"
    if reported.calibration is None:
        return f"The run is not calibrated. Temperatures are fitted by: {again}"
    if reported.calibration.after is None:
        return f"The calibration is not shown: {reported.calibration.fault}. Again: {again}"
    return (
        "After calibration: each fold with temperatures fitted on the other folds. The temperatures shown are fitted "
        "on all rows; predict uses them with --decide, and only together with a decision rule of proven gain."
    )
