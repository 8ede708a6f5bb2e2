"""maskcls runs list: what was trained, what it came to, and what sets it apart."""

from __future__ import annotations

import json as text
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from maskcls.errors import ResultError, UsageError, visible
from maskcls.runs.records.finding import checked_run, find_runs
from maskcls.runs.records.order import SORTS, in_order
from maskcls.runs.records.record import RunRecord, read_record
from maskcls.runs.records.settings import differences, shared_settings
from maskcls.show.progress import say
from maskcls.show.units import duration, size


def list_runs(folders: Sequence[Path], *, base: Path | None, sort: str, json: bool) -> None:
    """Print the runs of some folders: what they came to, what they took, and how their settings differ.

    base  the run whose settings the others' are held against; None: the settings most of them share.

    Raises UsageError for an unknown order, ResultError for a folder that is not there or a base that is no run.
    """
    if sort not in SORTS:
        raise UsageError("no such order", where="--sort", got=repr(sort), expected=", ".join(SORTS))
    found = in_order([read_record(run) for run in find_runs(folders)], sort)
    other = _base_settings(base) if base else shared_settings([one.settings for one in found if one.settings])
    if json:
        told = [to_json(one, other) for one in found]
        say(text.dumps({"base": str(base) if base else None, "runs": told}, ensure_ascii=False, allow_nan=False))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    if not found:
        say(f"no run in {', '.join(map(str, folders))}")
        return
    console.print(render(found, other, console.width))
    say()
    console.print(_footer(found, base))


def to_json(found: RunRecord, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that the list shows of a run, and its notes whole, as plain data."""
    return {
        "run": str(found.run.path),
        "state": found.state,
        "status": found.status,
        "macro_f1": found.score,
        "interval": found.interval,
        "sd": found.sd,
        "tasks": dict(found.tasks),
        "seconds": found.seconds,
        "bytes": found.bytes,
        "date": found.date.isoformat(timespec="seconds") if found.date else None,
        "differences": differences(found.settings, base) if found.settings else [],
        "leaderboard": found.leaderboard,
        "kept": found.kept,
        "notes": [note.model_dump() for note in found.notes],
    }


def render(found: Sequence[RunRecord], base: Mapping[str, Any], width: int) -> RenderableType:
    """Return a line a run, its numbers below its name where the width asks for that, and what is to say about it."""
    tasks = list(dict.fromkeys(name for one in found for name in one.tasks))
    head = ["F1", "95 %", "sd", *map(visible, tasks), "time", "size", "date"]
    numbers = _columns([head, *(_cells(one, tasks) for one in found)])
    names = [visible(str(one.run.path)) for one in found]
    room = max(map(cell_len, ["run", *names]))
    beside = room + 2 + cell_len(numbers[0]) <= width
    lines: list[RenderableType] = [Text(f"{'run':{room}}  {numbers[0]}" if beside else f"  {numbers[0]}", "bold")]
    for one, name, line in zip(found, names, numbers[1:], strict=True):
        padded = name + " " * (room - cell_len(name))
        lines += [Text(f"{padded}  {line}")] if beside else [Text(name, "bold", overflow="fold"), Text(f"  {line}")]
        lines += [
            Padding(Text(said, style, overflow="fold"), (0, 0, 0, 4), expand=False) for said, style in _said(one, base)
        ]
    return Group(*lines)


def _said(found: RunRecord, base: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what there is to say about a run besides numbers, each with its style."""
    if found.status != "finished":
        yield visible(found.status), {"broken": "red", "unfinished": "yellow"}.get(found.state, "")
    if found.settings and (changed := differences(found.settings, base)):
        yield visible("  ".join(changed)), "cyan"
    if found.leaderboard:
        yield visible("leaderboard  " + "  ".join(f"{k} {v:.4f}" for k, v in found.leaderboard.items())), ""
    for note in found.notes:
        if note.text:
            yield visible(f"{note.date[:10]}  {note.text}"), ""
    if found.kept:
        yield "kept: prune leaves it alone", ""


def _cells(found: RunRecord, tasks: Sequence[str]) -> list[str]:
    low_high = f"{found.interval[0]:.3f}-{found.interval[1]:.3f}" if found.interval else "-"
    scores = [low_high, _number(found.sd, 3), *(_number(found.tasks.get(name), 3) for name in tasks)]
    when = found.date.strftime("%Y-%m-%d") if found.date else "-"
    return [_number(found.score, 4), *scores, duration(found.seconds), size(found.bytes), when]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines whose columns end below each other."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(" " * (w - cell_len(c)) + c for c, w in zip(row, widths, strict=True)) for row in rows]


def _footer(found: Sequence[RunRecord], base: Path | None) -> Text:
    states = Counter(one.state for one in found)
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    parts = [f"{len(found)} run{'s' * (len(found) > 1)}: {counted}; {size(sum(one.bytes for one in found))}."]
    parts.append(f"Settings are those other than {'in ' + visible(str(base)) if base else 'most runs share'}.")
    if len({one.judged_on for one in found if one.score is not None}) > 1:
        parts.append("The scores are of different rows (data, or folds trained) and do not all compare.")
    return Text(" ".join(parts), "dim")


def _base_settings(path: Path) -> Mapping[str, Any]:
    found = read_record(checked_run(path))
    if not found.settings:
        raise ResultError("the settings of the base cannot be read", where=str(path), got=found.fault)
    return found.settings


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
