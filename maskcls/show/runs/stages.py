"""What `maskcls train --budget` and `resume` print of the stages of a training with a time limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskcls import config
from maskcls.durations import duration
from maskcls.errors import ResourceError, shell_word
from maskcls.groupnouns import PEOPLE, Noun
from maskcls.machine.time_limit import TimeLimit
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.checks import wanted_folds
from maskcls.runs.stages.answering import best_place, finished_stages
from maskcls.runs.stages.ladder import StageSettings
from maskcls.runs.stages.record import StageEntry, read_stages
from maskcls.runs.summary import RunSummary, read_summary
from maskcls.show.report.after_training import AfterTraining, next_command
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, plural, say, say_whole, show, trained_folds
from maskcls.show.training.finished import say_after, say_scores

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class StagesOutcome:
    """What is there when the training ends.

    stages    every stage that was begun. scores: macro-F1 of those that are finished, by number; None without a score.
    folds     the numbers of the folds that were asked for, as on the command line; None: all.
    chosen    the number of the stage that answers for the folder; None: none is finished.
    time_up   whether the time limit ended the last stage. passed_s: seconds since the command began.
    """

    folder: Path
    stages: tuple[StageEntry, ...]
    scores: dict[int, float | None]
    chosen: int | None
    time_up: bool
    limit_s: float
    passed_s: float
    folds: str | None = None

    @property
    def run(self) -> RunDir | None:
        """The stage that answers."""
        return None if self.chosen is None else StagesDir(self.folder).stage(self.chosen)

    @property
    def unfinished(self) -> RunDir | None:
        """The stage that was interrupted, or failed."""
        left = [number for number in range(len(self.stages)) if number not in self.scores]
        return StagesDir(self.folder).stage(left[-1]) if left else None


def stages_outcome(folder: StagesDir, limit: TimeLimit) -> StagesOutcome:
    """Read what a folder of stages holds now."""
    record = read_stages(folder) if folder.record.exists() else None
    stages, folds = (record.stages, record.folds) if record else ((), None)
    found = finished_stages(folder)
    numbers = {folder.stage(number).path: number for number in range(len(stages))}
    scores = {numbers[one.run.path]: one.score for one in found}
    place = best_place(list(scores.values()))
    chosen = None if place is None else list(scores)[place]
    return StagesOutcome(folder.path, stages, scores, chosen, limit.is_up, limit.seconds, limit.passed_s, folds)


def refuse_without_stage(found: StagesOutcome) -> None:
    """Raise ResourceError when the time was up before a stage was finished: there is nothing to predict with."""
    if found.chosen is None:
        more = "give a longer --budget"
        raise ResourceError(
            "the time was up before the first stage was finished, so there is no usable run",
            where=str(found.folder),
            got=f"--budget of {duration(found.limit_s)}",
            fix=f"finish it with: maskcls resume {shell_word(found.folder)}; or {more}" if found.stages else more,
        )


def stage_title(settings: StageSettings, folds: str | None = None) -> str:
    """Write the settings of a stage; folds: the numbers that were asked for, as on the command line, None: all.

    >>> stage_title(StageSettings(size=(96, 72), epochs=4, folds=5, seeds=1))
    '96x72, 4 epochs, 5 folds'
    >>> stage_title(StageSettings(size=(96, 72), epochs=0, folds=5, seeds=1), "0")
    '96x72, fitted heads, fold 0 of 5'
    """
    parts = [
        f"{settings.size[0]}x{settings.size[1]}",
        "fitted heads" if settings.fitted else plural(settings.epochs, "epoch"),
        trained_folds(wanted_folds(folds, settings.folds), settings.folds),
        *([plural(settings.seeds, "seed")] if settings.seeds > 1 else []),
    ]
    share = "" if settings.share == 1 or settings.fitted else f" of {settings.share:.0%} of the photos"
    return ", ".join(parts) + share


def print_stages(found: StagesOutcome, after: AfterTraining | None, noun: Noun = PEOPLE, *, json: bool = False) -> None:
    """Print every stage with its settings, time and score, and the one that answers for the folder.

    after  the page of that stage and the command to give next; None while no stage is finished.
    """
    run = found.run
    summary = None if run is None else read_summary(run)
    if json:
        print_json(_as_json(found, summary, after))
        return
    left = found.unfinished
    if run is not None and summary is not None:
        say_scores(run.path, summary, noun)
    if found.stages:
        show(_stage_table(found))
    if run is not None:
        say(f"give {found.folder} to predict, evaluate and the other verbs; they use its stage {found.chosen} (*)")
    if left is not None:
        again = f"maskcls resume {shell_word(found.folder)} --budget 30m"
        say_whole(f"stage {left.path.name[5:]} is not finished; continue: {again}\n")
    if after:
        if after.page is None and run is not None and summary is not None:
            say_whole(f"no report page; write it: maskcls report {shell_word(found.folder)}\n")
        say_after(after)


def stage_after(found: StagesOutcome, data: Path) -> AfterTraining | None:
    """Return the page of the stage that answers, if it was written, and the next command, which names the folder."""
    run = found.run
    if run is None:
        return None
    command = next_command(RunDir(found.folder), data, config.of_run(run.config))
    return AfterTraining(run.report if run.report.exists() else None, command)


def _stage_table(found: StagesOutcome) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    table.add_column("stage", no_wrap=True)
    table.add_column("settings", overflow="fold")
    for name in ("forecast", "took", "macro-F1"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, entry in enumerate(found.stages):
        forecast = "-" if entry.forecast_s is None else duration(entry.forecast_s)
        passed_s = entry.took_s or entry.passed_s
        took = duration(passed_s) if passed_s else "-"  # ended by force, or killed: it is known when it is continued
        score = number(found.scores[place]) if place in found.scores else "not finished"
        table.add_row(
            str(place),
            stage_title(entry.settings, found.folds),
            forecast,
            took,
            ("* " if place == found.chosen else "") + score,
        )
    return table


def _as_json(found: StagesOutcome, summary: RunSummary | None, after: AfterTraining | None) -> dict[str, Any]:
    stages = [
        {**entry.model_dump(mode="json"), "finished": place in found.scores, "macro_f1": found.scores.get(place)}
        for place, entry in enumerate(found.stages)
    ]
    return {
        "run": str(found.folder),
        "budget_s": found.limit_s if math.isfinite(found.limit_s) else None,
        "passed_s": round(found.passed_s, 1),
        "time_up": found.time_up,
        "folds": found.folds,
        "chosen": None if found.chosen is None else f"stage{found.chosen}",
        "stages": stages,
        "summary": None if summary is None else summary.to_json(),
        **(after.to_json() if after else {}),
    }


@dataclass(frozen=True)
class LadderForecast:
    """What `train --budget --dry-run` shows: the settings that stages may have, with their forecasts.

    seconds  of each rung, reading and starting included. planned: places of the rungs that would be taken.
    free     the settings that stages choose. measured: on what, with each of the first rungs.
    folds    as in `StagesOutcome`.
    without_heads  why no stage fits heads; "" where one does, or all do.
    """

    rungs: tuple[StageSettings, ...]
    seconds: tuple[float, ...]
    planned: tuple[int, ...]
    free: tuple[str, ...]
    limit_s: float
    measured: tuple[str, ...]
    without_heads: str = ""
    folds: str | None = None


def print_ladder(found: LadderForecast, folder: Path, *, json: bool = False) -> None:
    """Print the ladder, and which of its rungs would become stages if every forecast were right."""
    if json:
        rungs = [
            {**settings.to_json(), "forecast_s": round(seconds, 1), "planned": place in found.planned}
            for place, (settings, seconds) in enumerate(zip(found.rungs, found.seconds, strict=True))
        ]
        told = {
            "run": str(folder),
            "budget_s": found.limit_s,
            "folds": found.folds,
            "free": list(found.free),
            "ladder": rungs,
        }
        print_json({**told, "without_heads": found.without_heads or None})
        return
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="")
    table.add_column("settings", overflow="fold")
    table.add_column("forecast", justify="right", no_wrap=True)
    table.add_column("within " + duration(found.limit_s), no_wrap=True)
    for place, (settings, seconds) in enumerate(zip(found.rungs, found.seconds, strict=True)):
        stage = f"stage {found.planned.index(place)}" if place in found.planned else ""
        table.add_row(stage_title(settings, found.folds), duration(seconds), stage)
    show(table)
    chosen = ", ".join(found.free) if found.free else "nothing: all of these settings were given"
    say(f"\nchosen by the time limit: {chosen}")
    if found.without_heads:
        say(f"no stage of fitted heads: {found.without_heads}")
    if not found.planned:
        say("the first stage does not fit into the time limit; it would be tried all the same")
    rows = [f"{what} with the settings of row {row}" for row, what in enumerate(found.measured, start=1)]
    say(f"measured on {', and on '.join(rows)}; each stage corrects the next forecast")
    say(f"run folder: {folder} (nothing was written)")
