"""How long a run took, and where the time went: parts of the commands, networks and epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskcls.durations import duration
from maskcls.groupnouns import Noun
from maskcls.runs.records.times import NETWORKS, PEOPLE, RunTimes, read_times
from maskcls.runs.reported.network_logs import NetworkLog
from maskcls.runs.reported.reported_run import ReportedRun
from maskcls.show.pages import palette
from maskcls.show.pages.figure import WIDTH, Figure
from maskcls.show.pages.table import Table
from maskcls.show.report.section import PageSettings
from maskcls.show.terminal.text import plural

EPOCHS = "epochs of all networks"
REST = "loading, saving, choice of epochs and out-of-fold prediction"


def seconds_section(reported: ReportedRun, settings: PageSettings) -> Mapping[str, Any]:
    """Return the seconds by part as a figure, and those of each network as a table."""
    times, logs = read_times(reported.run), [log for log in reported.logs if log.lines]
    recorded = seconds_by_part(times, reported.record.seconds)
    parts = {_part_name(name, reported.noun): seconds for name, seconds in recorded.items()}
    total = sum(parts.values())
    return {
        "line": _line(times, total, reported.record.seconds),
        "figures": [_parts_figure(parts, f"{settings.prefix}seconds-parts")],
        "networks": _network_table(logs),
        "side_by_side": max((plan.fold_jobs for plan in (reported.environment.plans or {}).values()), default=1),
    }


def _part_name(name: str, noun: Noun) -> str:
    return f"learning which photos show one {noun[0]}" if name == PEOPLE else name


def seconds_by_part(times: RunTimes | None, epochs_s: float) -> dict[str, float]:
    """Return the seconds of every part of the training, in its order.

    times     of the commands; None: not recorded.
    epochs_s  of all epochs by the logs, which also count those of interrupted commands.

    >>> from maskcls.runs.records.times import CommandTimes
    >>> one = CommandTimes(command="train", seconds={"reading the data": 2.0, NETWORKS: 12.0})
    >>> seconds_by_part(RunTimes(commands=(one,)), 10.0) == {"reading the data": 2.0, EPOCHS: 10.0, REST: 2.0}
    True
    """
    commands = times.commands if times else ()
    parts: dict[str, float] = {}
    for one in commands:
        for name, seconds in one.seconds.items():
            parts[name] = parts.get(name, 0.0) + seconds
    networks = parts.pop(NETWORKS, 0.0)
    parts[EPOCHS] = epochs_s
    if commands and all(NETWORKS in one.seconds for one in commands) and networks > epochs_s:
        parts[REST] = networks - epochs_s
    return parts


def _line(times: RunTimes | None, total_s: float, epochs_s: float) -> str:
    if times is None:
        return f"All epochs together took {duration(epochs_s)}. The other parts are not recorded in this run."
    resumed = len(times.commands) - 1
    again = f", resumed {plural(resumed, 'time')}" if resumed > 0 else ""
    return f"{duration(total_s)} in all{again}, {duration(epochs_s)} of it in epochs."


def _parts_figure(parts: Mapping[str, float], name: str) -> Figure:
    shown = {part: seconds for part, seconds in parts.items() if seconds >= 0.05 or part == EPOCHS}

    def paint(axes: Any) -> None:
        axes.barh(range(len(shown)), list(shown.values()), color=palette.SERIES[0].light, height=0.6)
        axes.set_yticks(range(len(shown)), [_in_two_lines(part) for part in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel("seconds")
        axes.grid(axis="y", visible=False)

    total = sum(parts.values()) or 1.0
    rows = [[part, f"{seconds:,.1f}", f"{100 * seconds / total:.1f} %"] for part, seconds in parts.items()]
    description = "Seconds of each part of the training. Folds trained side by side share their seconds."
    table = Table(["part", "seconds", "share"], rows)
    return Figure(name, "Where the time went", description, table, paint, (WIDTH, 0.8 + 0.42 * len(shown)))


def _in_two_lines(text: str) -> str:
    """Break a long text once, between words, near its middle.

    >>> _in_two_lines("cache of decoded photos"), _in_two_lines("epochs")
    ('cache of\\ndecoded photos', 'epochs')
    """
    if len(text) <= 20:
        return text
    spaces = [place for place, letter in enumerate(text) if letter == " "]
    middle = min(spaces, key=lambda place: abs(place - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def _network_table(logs: Sequence[NetworkLog]) -> Table:
    rows = []
    for log in logs:
        seconds = [value for value in log.column("seconds") if value is not None]
        speed = [value for value in log.column("images_per_second") if value is not None]
        rows.append(
            [
                log.title,
                str(len(log.lines)),
                f"{sum(seconds):,.1f}",
                f"{sum(seconds) / len(seconds):,.1f}" if seconds else "-",
                f"{sum(speed) / len(speed):,.0f}" if speed else "-",
            ]
        )
    head = ["network", "epochs", "seconds", "per epoch", "images/s"]
    return Table(head, rows, "Networks: epochs with validation; images/s in training")
