"""What `maskcls runs list` returns and prints: runs with their scores, time, size, settings and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from maskcls.durations import duration
from maskcls.errors import shell_word, visible
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.results.comparison.many import Best
from maskcls.results.comparison.optimism import Optimism
from maskcls.runs.choices.search_result import FinishedSearch, study_of
from maskcls.runs.records.noun import noun_of_run
from maskcls.runs.records.record import RunRecord
from maskcls.runs.records.settings import setting_differences
from maskcls.runs.records.unsealed import SealedScore
from maskcls.show.answers.many import best_line, optimism_line
from maskcls.show.runs.unsealed import sealed_of
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, plural, say, show, span
from maskcls.show.terminal.units import size
from maskcls.show.tuning.score_lines import score_lines


@dataclass(frozen=True)
class BestRun:
    """The best of the listed runs that are scored on the same rows as the best one.

    names  those that are listed; tried: how many were scored on these rows, deleted ones included.
    score  of the best, as it is listed and as it holds for other people, or what groups are called (noun).
    optimism  how much too high the score of the best of the tried runs is by the choice.
    """

    names: tuple[str, ...]
    tried: int
    score: Best
    optimism: Optimism
    noun: Noun = PEOPLE

    @property
    def runs(self) -> int:
        """How many are listed."""
        return len(self.names)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        chosen = {self.names[place]: folds for place, folds in self.score.chosen.items()}
        scores = {"here": self.score.here, "others": self.score.others, "chosen": chosen}
        return {"runs": self.runs, "tried": self.tried, **scores, "optimism": asdict(self.optimism)}


@dataclass(frozen=True)
class RunList:
    """Runs in order.

    settings  of `base`, or those most runs share, which the runs' own are compared with.
    best      None with fewer than two runs scored on the same rows.
    searches  those with a result whose trials are among the runs.
    """

    runs: tuple[RunRecord, ...]
    folders: tuple[Path, ...]
    base: Path | None
    settings: Mapping[str, Any]
    best: BestRun | None = None
    searches: tuple[FinishedSearch, ...] = ()

    @property
    def is_one_search(self) -> bool:
        """Whether the runs to choose from are the trials of one search, whose own score says how good the best is."""
        if len(self.searches) != 1 or self.best is None:
            return False
        trials = {str(one.run.path) for one in self.runs if study_of(one.run) == self.searches[0].study}
        return trials.issuperset(self.best.names)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "base": str(self.base) if self.base else None,
            "best": self.best and self.best.to_json(),
            "searches": [_search_json(one) for one in self.searches],
            "runs": [_run_json(one, self.settings) for one in self.runs],
        }


def print_runs(found: RunList, *, json: bool = False) -> None:
    """Print the runs, and how many there are of each state."""
    if json:
        print_json(found.to_json())
    elif not found.runs:
        say(f"no run in {', '.join(map(str, found.folders))}")
    else:
        show(render_runs(found.runs, found.settings, Console().width))
        say()
        show(_footer(found.runs, found.base))
        for line in _choice_lines(found):
            say(line)


def _choice_lines(found: RunList) -> Iterator[str]:
    """Yield how good the best run is: of a search by its own score, of other runs by the model of `optimism`."""
    for one in found.searches:
        path = visible(str(one.study.path))
        yield f"search {path}: the best of {plural(one.trials, 'trial')} is {one.best.path.name}"
        yield from (f"  {line}" for line in score_lines(one.score))
    if found.best and not found.is_one_search:
        yield best_line(found.best.score, found.best.runs, found.best.noun[1])
        yield optimism_line(found.best.optimism)
        if found.searches:
            yield "  (by a model of the scores of all runs; of a search alone, its own score is the better one)"


def _search_json(found: FinishedSearch) -> dict[str, Any]:
    best = {"best": str(found.best.path), "trials": found.trials}
    return {"study": str(found.study.path), **best, "score": found.score.to_json()}


def _run_json(found: RunRecord, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that the list shows of a run, with its notes in full."""
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
        "differences": setting_differences(found.settings, base) if found.settings else [],
        "sealed": _sealed_json(found.unsealed) if found.unsealed else None,
        "leaderboard": found.leaderboard,
        "kept": found.kept,
        "notes": [note.model_dump() for note in found.notes],
    }


def _sealed_json(found: SealedScore) -> dict[str, Any]:
    interval = (found.interval.low, found.interval.high) if found.interval else None
    people = {"people": found.people, "date": found.date}
    return {"macro_f1": found.scores.macro_f1, "interval": interval, **people}


def render_runs(found: Sequence[RunRecord], base: Mapping[str, Any], width: int) -> RenderableType:
    """Return one line per run, its numbers below its name in a narrow terminal, and below it settings and notes."""
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
            Padding(Text(line_below, style, overflow="fold"), (0, 0, 0, 4), expand=False)
            for line_below, style in _lines_below(one, base)
        ]
    return Group(*lines)


def _lines_below(found: RunRecord, base: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the lines about a run below its numbers, each with its style."""
    if found.status != "finished":
        yield _status(found), {"broken": "red", "unfinished": "yellow"}.get(found.state, "")
    if found.settings and (changed := setting_differences(found.settings, base)):
        yield visible("  ".join(changed)), "cyan"
    if found.unsealed:
        yield _sealed(found.unsealed, noun_of_run(found.run)), ""
    if found.leaderboard:
        yield visible("leaderboard  " + "  ".join(f"{k} {v:.4f}" for k, v in found.leaderboard.items())), ""
    for note in found.notes:
        if note.text:
            yield visible(f"{note.date[:10]}  {note.text}"), ""
    if found.kept:
        yield "kept: runs prune does not delete it", ""


def _sealed(found: SealedScore, noun: Noun) -> str:
    interval = f", 95 % {span(found.interval.low, found.interval.high)}" if found.interval else ""
    return f"{sealed_of(found.people, noun)}  {number(found.scores.macro_f1)}{interval}"


def _status(found: RunRecord) -> str:
    """Return the status, and how an unfinished run is continued."""
    resume = (
        f"; continue with: maskcls resume {shell_word(found.run.path)}"
        if found.state == "unfinished" and not found.busy
        else ""
    )
    return visible(f"{found.status}{resume}")


def _cells(found: RunRecord, tasks: Sequence[str]) -> list[str]:
    low_high = f"{found.interval[0]:.3f}-{found.interval[1]:.3f}" if found.interval else "-"
    scores = [low_high, number(found.sd, 3), *(number(found.tasks.get(name), 3) for name in tasks)]
    when = found.date.strftime("%Y-%m-%d") if found.date else "-"
    return [number(found.score, 4), *scores, duration(found.seconds), size(found.bytes), when]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with columns aligned to the right."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(" " * (w - cell_len(c)) + c for c, w in zip(row, widths, strict=True)) for row in rows]


def _footer(found: Sequence[RunRecord], base: Path | None) -> Text:
    states = Counter(one.state for one in found)
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    parts = [f"{plural(len(found), 'run')}: {counted}; {size(sum(one.bytes for one in found))}."]
    parts.append("95 %: interval of F1 (macro-F1); sd: its standard deviation over the folds.")
    parts.append(f"Settings shown differ from {visible(str(base)) if base else 'those most runs share'}.")
    if len({one.scored_on for one in found if one.score is not None}) > 1:
        parts.append("The scores are of different rows (other data or folds), so not all can be compared.")
    return Text(" ".join(parts), "dim")
