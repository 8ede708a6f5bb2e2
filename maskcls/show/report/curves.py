"""Losses, scores and learning rate of every network over its epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskcls.groupnouns import Noun
from maskcls.runs.reported.network_logs import NetworkLog
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages import palette
from maskcls.show.pages.figure import Figure
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import number

LINE_STYLES = ("-", ":", "-.")  # seed by seed
LEGEND_WIDTH = 66  # characters in a line of the legend; the line before a name takes 6


def curves_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any] | None:
    """Return the figures of the networks of each task, or of all tasks together; None without epochs."""
    if reported.config.model.train == "heads":  # their log is one line, not of an epoch
        return None
    logs = [log for log in reported.logs if log.lines]
    groups: dict[tuple[str, bool], list[NetworkLog]] = {}
    for log in logs:
        groups.setdefault((log.network.task, log.network.kind == "continued"), []).append(log)
    if not groups:
        return None
    return {
        "groups": [
            {"title": _title(*key) if len(groups) > 1 else "", "figures": curve_figures(found, reported, name)}
            for key, found in groups.items()
            for name in [_name(settings.prefix, *key, reported)]
        ]
    }


def curve_figures(logs: Sequence[NetworkLog], reported: ReportedRun, name: str) -> list[Figure]:
    """Return figures of the loss, of each validation score, and of the learning rate; those there are.

    name  begins the figures' names.
    """
    keys = dict.fromkeys(key for log in logs for line in log.lines for key in line if key.startswith("val/"))
    scores = [] if reported.summary.leaky else [key for key in keys if key not in ("val/loss", "val/macro_f1")]
    found = [_loss_figure(logs, reported.noun, leaky=reported.summary.leaky, name=f"{name}-loss")]
    if "val/macro_f1" in keys and not reported.summary.leaky and len(scores) != 1:
        found.append(_score_figure(logs, "val/macro_f1", "all tasks", f"{name}-macro-f1", reported.noun))
    order = [key for task in reported.config.space.names for key in scores if key == f"val/{task}"]
    found += [
        _score_figure(logs, key, key.removeprefix("val/"), f"{name}-score{place}", reported.noun)
        for place, key in enumerate(order)
    ]
    return [*found, _rate_figure(logs, f"{name}-lr")]


def _loss_figure(logs: Sequence[NetworkLog], noun: Noun, *, leaky: bool, name: str) -> Figure:
    columns = [(log, "train/loss", "-", f"{log.title} train") for log in logs]
    columns += [(log, "val/loss", "--", f"{log.title} validation") for log in logs if not leaky and log.network.scored]

    def paint(axes: Any) -> None:
        for log, key, style, _ in columns:
            axes.plot(*_points(log, key), style, color=_colour(log), label=_label(log) if style == "-" else None)
        _finish(axes, "loss", logs)

    lines = "Solid: training loss, with augmentation. "
    other = "" if leaky else f"Dashed: log loss of the validation {noun[1]}. The two are not the same formula."
    return Figure(
        name,
        "Loss by epoch",
        f"{lines}{other}".strip(),
        _curve_table([(title, log, key) for log, key, _, title in columns]),
        paint,
    )


def _score_figure(logs: Sequence[NetworkLog], key: str, what: str, name: str, noun: Noun) -> Figure:
    scored = [log for log in logs if log.network.scored]

    def paint(axes: Any) -> None:
        for log in scored:
            epochs, values = _points(log, key)
            axes.plot(epochs, values, LINE_STYLES[log.network.seed % 3], color=_colour(log), label=_label(log))
            chosen = [
                (x, y) for x, y in zip(epochs, values, strict=True) if log.chosen is not None and x == log.chosen + 1
            ]
            axes.plot([x for x, _ in chosen], [y for _, y in chosen], "o", color=_colour(log), markersize=7)
        _finish(axes, "macro-F1", scored)

    return Figure(
        name,
        f"Validation macro-F1 by epoch: {what}",
        f"One line per network, on the validation {noun[1]} of its fold. The dot marks the epoch that is used.",
        _curve_table([(log.title, log, key) for log in scored]),
        paint,
    )


def _rate_figure(logs: Sequence[NetworkLog], name: str) -> Figure:
    """Draw the learning rate; networks with the same one share a line."""
    different: dict[tuple[float | None, ...], NetworkLog] = {}
    for log in logs:
        different.setdefault(tuple(log.column("lr")), log)
    shown = [("all networks" if len(different) == 1 else log.title, log, "lr") for log in different.values()]

    def paint(axes: Any) -> None:
        for _, log, key in shown:
            axes.plot(*_points(log, key), color=_colour(log), label=_label(log))
        axes.set_ylim(bottom=0)
        _finish(axes, "learning rate", [log for _, log, _ in shown])

    return Figure(
        name,
        "Learning rate by epoch",
        "The learning rate of the backbone's last layers at the end of each epoch; the head's is optim.head_lr_scale "
        "times as high. Networks with the same learning rate share a line.",
        _curve_table(shown, digits=3),
        paint,
    )


def _points(log: NetworkLog, key: str) -> tuple[list[int], list[float]]:
    """Return the epochs, from 1, that have a value, and the values."""
    known = [(epoch, value) for epoch, value in enumerate(log.column(key), 1) if value is not None]
    return [epoch for epoch, _ in known], [value for _, value in known]


def _finish(axes: Any, label: str, logs: Sequence[NetworkLog]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(max((log.lines for log in logs), key=len, default=())) == 1:
        for line in axes.get_lines():
            line.set_marker("o")
    if len(logs) > 1:
        columns = LEGEND_WIDTH // (max(len(_label(log)) for log in logs) + 6)
        axes.figure.legend(loc="outside lower center", ncols=max(1, min(len(logs), columns)), columnspacing=1.0)


def _label(log: NetworkLog) -> str:
    """Return the title without the task, which is the heading above the figures.

    >>> from maskcls.runs.networks import RunNetwork
    >>> _label(NetworkLog(RunNetwork("age", 1, 0, "scored", "age-seed1"), "age-seed1 fold 0", (), None))
    'seed1 fold 0'
    """
    return log.title.removeprefix(log.network.task).lstrip("- ")


def _colour(log: NetworkLog) -> str:
    return (
        palette.SERIES[log.network.fold % len(palette.SERIES)].light if log.network.fold >= 0 else palette.MUTED.light
    )


def _curve_table(columns: Sequence[tuple[str, NetworkLog, str]], *, digits: int = 4) -> Table:
    epochs = max((len(log.lines) for _, log, _ in columns), default=0)
    values = [log.column(key) for _, log, key in columns]
    rows = [[str(epoch + 1), *(_cell(column, epoch, digits) for column in values)] for epoch in range(epochs)]
    return Table(["epoch", *(title for title, _, _ in columns)], rows)


def _cell(column: Sequence[float | None], epoch: int, digits: int) -> str:
    value = column[epoch] if epoch < len(column) else None
    if value is None:
        return "-"
    return f"{value:.{digits}g}" if digits < 4 else number(value)


def _title(task: str, continued: bool) -> str:
    return f"{task or 'all tasks'}{', continued' if continued else ''}"


def _name(prefix: str, task: str, continued: bool, reported: ReportedRun) -> str:
    """Begin a figure's name; a task is named by its place, as its own name may hold any character."""
    place = str(reported.config.space.names.index(task)) if task else ""
    return f"{prefix}curves{place}{'-continued' if continued else ''}"
