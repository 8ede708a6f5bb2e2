"""Several runs side by side: scores, paired differences, mean curves, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from maskcls.durations import duration
from maskcls.groupnouns import PHOTOS, Noun
from maskcls.runs.records.settings import assignment, settings_of
from maskcls.runs.reported.paired_runs import PairedRuns
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages import palette
from maskcls.show.pages.figure import WIDTH, Figure
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number, number_of, percent, plural

LINE_STYLES = ("-", "--", "-.", ":")


def side_by_side_section(runs: Sequence[ReportedRun], settings: PageSettings) -> Mapping[str, Any] | None:
    """Return the tables and figures about several runs; None for one."""
    if len(runs) < 2:
        return None
    names, paired = run_names(runs), settings.paired
    figures = [_score_figure(runs, names)] if any(one.summary.interval for one in runs) else []
    if paired and paired.found:
        figures.append(_difference_figure(paired, names, runs[0].noun))
    return {
        "scores": _score_table(runs, names),
        "lines": _difference_lines(paired, names, runs[0].noun),
        "figures": [*figures, *mean_curves(runs, names)],
        "differences": _difference_table(paired, names) if paired and paired.found else None,
        "settings": _settings_table(runs, names),
    }


def run_names(runs: Sequence[ReportedRun]) -> list[str]:
    """Return a name of each run: its folder's, or the path where two folders have the same name."""
    names = [one.name for one in runs]
    return [name if names.count(name) == 1 else str(one.run.path) for name, one in zip(names, runs, strict=True)]


def _score_table(runs: Sequence[ReportedRun], names: Sequence[str]) -> Table:
    tasks = list(dict.fromkeys(name for one in runs for name in one.record.tasks))
    several = tasks if len(tasks) > 1 else []
    rows = []
    for name, one in zip(names, runs, strict=True):
        interval = one.summary.interval
        rows.append(
            [
                name,
                number(one.record.score),
                number(interval.low if interval else None),
                number(interval.high if interval else None),
                number(one.record.sd),
                *(number(one.record.tasks.get(task)) for task in several),
                f"{len(one.environment.folds)} of {one.config.folds.k}",
                duration(one.record.seconds),
            ]
        )
    head = ["run", "macro-F1", "95 % low", "high", "sd over folds", *several, "folds", "time of epochs"]
    return Table(head, rows, "Out-of-fold scores")


def _score_figure(runs: Sequence[ReportedRun], names: Sequence[str]) -> Figure:
    shown = [(name, one) for name, one in zip(names, runs, strict=True) if one.summary.interval]

    def paint(axes: Any) -> None:
        for y, (_, one) in enumerate(shown):
            assert one.summary.interval is not None
            colour = _colour(runs, one)
            axes.plot([one.summary.interval.low, one.summary.interval.high], [y, y], color=colour)
            axes.plot([one.record.score], [y], "o", color=colour, markersize=7)
        _finish_rows(axes, [name for name, _ in shown], "out-of-fold macro-F1")

    rows = [
        [name, number(one.record.score), number(interval.low), number(interval.high)]
        for name, one in shown
        if (interval := one.summary.interval)
    ]
    many = runs[0].noun[1]
    description = f"Dot: the score. Line: 95 % interval over {many}. Intervals of two runs may overlap although the "
    description += f"runs differ, because the same {many} are in both; see the paired differences."
    table = Table(["run", "macro-F1", "low", "high"], rows)
    return Figure("side-by-side-scores", "Scores of the runs", description, table, paint, _size(len(shown)))


def _difference_figure(paired: PairedRuns, names: Sequence[str], noun: Noun) -> Figure:
    assert paired.found is not None
    found = [one.difference for one in paired.found.differences]

    def paint(axes: Any) -> None:
        axes.axvline(0, color=palette.MUTED.light, linewidth=1, linestyle="--")
        for y, one in enumerate(found):
            colour = palette.SERIES[(y + 1) % len(palette.SERIES)].light
            axes.plot([one.low, one.high], [y, y], color=colour)
            axes.plot([one.value], [y], "o", color=colour, markersize=7)
        _finish_rows(axes, list(names[1:]), f"macro-F1 minus that of {names[0]}")

    description = f"Right of 0: better than {names[0]} on the same {noun[1]}. "
    description += f"The lines cover all differences together with {percent(found[0].level)} confidence."
    table = _difference_table(paired, names)
    return Figure("side-by-side-differences", "Paired differences", description, table, paint, _size(len(found)))


def _difference_table(paired: PairedRuns, names: Sequence[str]) -> Table:
    assert paired.found is not None
    rows = [
        [
            name,
            number(one.difference.value, sign=True),
            number(one.difference.low, sign=True),
            number(one.difference.high, sign=True),
            f"{one.p:.2g}",
        ]
        for name, one in zip(names[1:], paired.found.differences, strict=True)
    ]
    return Table(["run", f"minus {names[0]}", "low", "high", "corrected p"], rows)


def _difference_lines(paired: PairedRuns | None, names: Sequence[str], noun: Noun) -> list[str]:
    """Return what the differences are about, or why there are none."""
    if paired is None or paired.found is None:
        return [f"There are no paired differences: {paired.why_not if paired else 'the rows were not compared'}."]
    found = paired.found
    of = "" if noun == PHOTOS else f" of {number_of(found.people, noun)}"
    rows = f"{plural(found.rows, 'photo')}{of}"
    several = "Their intervals and p values are corrected for the runs on this page. " if len(names) > 2 else ""
    count = f"Comparisons of runs made on these rows so far, with these: {found.tried:,}."
    best = (
        f"The best run scores {number(found.best.here)} on the rows it was chosen on; chosen on other {noun[1]} than "
        f"those it is scored on, {number(found.best.others)}."
    )
    return [f"The runs are compared with {names[0]} on the same {rows}. {several}{count}", best]


def mean_curves(runs: Sequence[ReportedRun], names: Sequence[str]) -> list[Figure]:
    """Return figures with one line per run: the mean over its folds' networks, by epoch.

    The score of all tasks where every run has it, or else those of the tasks that every run has; then the losses.
    """
    shared = [key for key in _keys(runs[0]) if all(key in _keys(one) for one in runs[1:])]
    scores = [key for key in shared if key.startswith("val/") and key != "val/loss"]
    keys = ["val/macro_f1"] if "val/macro_f1" in scores else scores
    if any(one.summary.leaky for one in runs):
        keys = []
    losses = [key for key in ("train/loss", "val/loss") if key in shared]
    return [_mean_figure(runs, names, key, place) for place, key in enumerate([*keys, *losses])]


def mean_curve(reported: ReportedRun, key: str) -> list[tuple[int, float]]:
    """Return (epoch from 1, mean over the networks that have a value) of the run's networks with validation rows."""
    columns = [log.column(key) for log in reported.logs if log.network.scored]
    epochs = max(map(len, columns), default=0)
    known = [[column[epoch] for column in columns if epoch < len(column)] for epoch in range(epochs)]
    values = [[value for value in one if value is not None] for one in known]
    return [(epoch, float(np.mean(one))) for epoch, one in enumerate(values, 1) if one]


def _keys(reported: ReportedRun) -> list[str]:
    return list(dict.fromkeys(key for log in reported.logs if log.network.scored for line in log.lines for key in line))


def _mean_figure(runs: Sequence[ReportedRun], names: Sequence[str], key: str, place: int) -> Figure:
    curves = [dict(mean_curve(one, key)) for one in runs]
    title = _curve_title(key)

    def paint(axes: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        lines = []
        for place, (one, curve) in enumerate(zip(runs, curves, strict=True)):
            style = LINE_STYLES[place % len(LINE_STYLES)]  # runs with equal networks have the same curve
            lines += axes.plot(list(curve), list(curve.values()), style, color=_colour(runs, one), marker=".")
        axes.set_xlabel("epoch")
        axes.set_ylabel("macro-F1" if key.startswith("val/") and key != "val/loss" else "loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        # Labels of lines would be left out where a name begins with an underscore.
        axes.figure.legend(lines, names, loc="outside lower center", ncols=min(len(names), 3))

    epochs = sorted({epoch for curve in curves for epoch in curve})
    rows = [[str(epoch), *(number(curve.get(epoch)) for curve in curves)] for epoch in epochs]
    description = "Mean over the networks of the folds; one line per run."
    return Figure(f"side-by-side-curve{place}", title, description, Table(["epoch", *names], rows), paint)


def _curve_title(key: str) -> str:
    """Name a column of the logs for people.

    >>> _curve_title("val/macro_f1"), _curve_title("val/age"), _curve_title("train/loss")
    ('Validation macro-F1 by epoch', 'Validation macro-F1 of age by epoch', 'Training loss by epoch')
    """
    part, _, what = key.partition("/")
    if what == "loss":
        return "Training loss by epoch" if part == "train" else "Validation log loss by epoch"
    return f"Validation macro-F1{'' if what == 'macro_f1' else f' of {what}'} by epoch"


def _settings_table(runs: Sequence[ReportedRun], names: Sequence[str]) -> Table | None:
    """Return the settings that are not the same in all runs; None where there are none."""
    every = [settings_of(one.config) for one in runs]
    keys = [
        key for key in dict.fromkeys(key for one in every for key in one) if len({_cell(one, key) for one in every}) > 1
    ]
    rows = [[key, *(_cell(one, key) for one in every)] for key in keys]
    return Table(["setting", *names], rows, "Settings in which the runs differ") if rows else None


def _cell(settings: Mapping[str, Any], key: str) -> str:
    return assignment(key, settings[key]).removeprefix(f"{key}=") if key in settings else "unset"


def _colour(runs: Sequence[ReportedRun], one: ReportedRun) -> str:
    return palette.SERIES[list(runs).index(one) % len(palette.SERIES)].light


def _finish_rows(axes: Any, names: Sequence[str], label: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(label)
    axes.grid(axis="y", visible=False)


def _size(rows: int) -> tuple[float, float]:
    return WIDTH, 0.9 + 0.4 * rows
