"""maskcls train --budget: train stages of growing cost until the time is up, or continue them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls import config, files
from maskcls.durations import duration
from maskcls.errors import Stopped
from maskcls.machine.time_limit import TimeLimit
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.checks import wanted_folds
from maskcls.runs.stages.answering import finished_stages
from maskcls.runs.stages.forecasting import MARGIN, StageCost, forecasts, measured_cost, measures, next_stage
from maskcls.runs.stages.kept_time import time_kept
from maskcls.runs.stages.ladder import stage_config
from maskcls.runs.stages.record import StageEntry, StagesRecord, is_finished, read_begun_stages, write_stages
from maskcls.runs.stages.seconds_on_disk import with_known_seconds
from maskcls.schema import Config
from maskcls.show.runs.stages import StagesOutcome, stage_title, stages_outcome
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_absolute_paths
from maskcls.training.forecasting.stage_ladder import stage_ladder

Planned = Callable[[float | None], None]  # gets the forecast of a stage's networks


@dataclass(frozen=True)
class StageWork:
    """What trains one stage, handed in: a new run, and the rest of one that was interrupted."""

    train: Callable[[Config, RunDir, Planned], object]
    resume: Callable[[RunDir], object]


def begin_stages(
    folder: StagesDir,
    data: Path,
    cfg: Config,
    free: Sequence[str],
    *,
    folds: str | None,
    limit: TimeLimit,
    work: StageWork,
    report: Reporter,
) -> StagesOutcome:
    """Train stages in a new folder until the time is up or no further stage fits.

    free  the settings that stages may choose, see `ladder.free_settings`.

    The folder's settings are written first: from then on `maskcls resume` knows what is left to do. Raises what
    `train` raises; an interrupt that is not the time limit's is raised too.
    """
    cfg = with_absolute_paths(cfg)

    def prepare() -> None:
        with report.busy("reading the data"):
            found = stage_ladder(data, cfg, free, folder)
        if found.without_heads:
            report.note(f"no stage of fitted heads: {found.without_heads}")
        files.commit(folder.config, config.to_yaml(cfg).encode())
        where = str(data.resolve())
        record = StagesRecord(
            data=where, photos=found.photos, folds=folds, limits_s=(), free=found.free, ladder=found.rungs
        )
        write_stages(folder, record)

    return _within(folder, limit, work, report, prepare)


def continue_stages(folder: StagesDir, *, limit: TimeLimit, work: StageWork, report: Reporter) -> StagesOutcome:
    """Finish the stage that was interrupted, and train further ones if there is a limit, until the time is up."""
    return _within(folder, limit, work, report, lambda: None)


def _within(
    folder: StagesDir, limit: TimeLimit, work: StageWork, report: Reporter, prepare: Callable[[], None]
) -> StagesOutcome:
    """Work until the limit stops it; an interrupt of the user's is raised."""
    try:
        with limit:
            prepare()
            record = with_known_seconds(folder, read_begun_stages(folder))
            seconds = limit.seconds if math.isfinite(limit.seconds) else None
            write_stages(folder, record.model_copy(update={"limits_s": (*record.limits_s, seconds)}))
            _train_all(folder, limit, work, report)
    except Stopped:
        if not limit.is_up:
            raise
        passed, whole = duration(limit.passed_s), duration(limit.seconds)
        report.note(f"stopped after {passed}, so that all is written before the limit of --budget, {whole}")
    return stages_outcome(folder, limit)


def _train_all(folder: StagesDir, limit: TimeLimit, work: StageWork, report: Reporter) -> None:
    cfg, limited = config.of_run(folder.config), math.isfinite(limit.seconds)
    record, undone = read_begun_stages(folder), True
    while undone or limited:
        number = len(record.stages) - 1
        undone = number >= 0 and not is_finished(folder.stage(number))
        if not undone:
            entry = _chosen(folder, record, cfg, limit, report)
            if entry is None:
                return
            record, number = record.model_copy(update={"stages": (*record.stages, entry)}), number + 1
            write_stages(folder, record)
        record = _train_one(folder, record, number, cfg, limit, work, report)
        undone = False


def _train_one(
    folder: StagesDir,
    record: StagesRecord,
    number: int,
    cfg: Config,
    limit: TimeLimit,
    work: StageWork,
    report: Reporter,
) -> StagesRecord:
    """Train one stage, or the rest of it; returns the record with its time, which is on disk too."""
    run, entry, began_s = folder.stage(number), record.stages[number], time.monotonic()

    def with_time(*, finished: bool) -> StagesRecord:
        passed_s = round(entry.passed_s + time.monotonic() - began_s, 1)
        new = entry.model_copy(update={"passed_s": passed_s, "took_s": passed_s if finished else None})
        after = record.model_copy(update={"stages": (*record.stages[:number], new, *record.stages[number + 1 :])})
        write_stages(folder, after)
        return after

    def planned(expected_s: float | None) -> None:
        if entry.forecast_s is None and expected_s is not None and expected_s > limit.left_s:
            needed, left = duration(limit.passed_s + expected_s), duration(limit.left_s)
            report.note(
                f"warning: stage {number} is forecast to need {duration(expected_s)} more, and {left} are left; it is "
                f"tried all the same. A --budget of {needed} would suffice for it"
            )

    try:
        with time_kept(lambda: with_time(finished=False)):
            if run.env.exists():
                report.note(f"stage {number} is continued: {stage_title(entry.settings, record.folds)}")
                work.resume(run)
            else:
                work.train(stage_config(cfg, entry.settings), run, planned)
    except BaseException:
        with_time(finished=is_finished(run))
        raise
    after = with_time(finished=True)
    if found := [one.score for one in finished_stages(folder) if one.run == run and one.score is not None]:
        report.note(f"stage {number} took {duration(after.stages[number].passed_s)}: macro-F1 {found[0]:.4f}")
    return after


def _chosen(
    folder: StagesDir, record: StagesRecord, cfg: Config, limit: TimeLimit, report: Reporter
) -> StageEntry | None:
    """Return the next stage, and say its forecast; None, with the reason said, where there is none."""
    left_s, rungs, number = limit.left_s, record.ladder, len(record.stages)
    done = max((rungs.index(one.settings) for one in record.stages), default=-1)
    if measures(rungs, done + 1):
        settings = rungs[done + 1]
        limited = math.isfinite(left_s)
        left = f"{duration(left_s)} left" if limited else "no time limit"
        why = "trains no backbone" if settings.fitted else "measures this machine"
        report.note(f"stage {number}: {stage_title(settings, record.folds)}: {why}; {left}")
        return StageEntry(settings=settings, forecast_s=None, left_s=round(left_s, 1) if limited else None)
    if done + 1 == len(rungs):
        report.note(f"there is no larger stage; {duration(left_s)} are not used")
        return None
    cost = last_cost(folder, record, cfg)
    folds = None if record.folds is None else len(wanted_folds(record.folds, cfg.folds.k))
    forecasts_s = forecasts(rungs, cost, cfg, record.photos, folds)
    place = next_stage(rungs, done, forecasts_s, left_s=left_s, passed_s=limit.passed_s)
    if place is None:
        need = duration(forecasts_s[done + 1] * MARGIN)
        title = stage_title(rungs[done + 1], record.folds)
        report.note(
            f"no further stage: the next, {title}, needs {need} with the margin, and {duration(left_s)} are left"
        )
        return None
    title, forecast = stage_title(rungs[place], record.folds), duration(forecasts_s[place])
    report.note(f"stage {number}: {title}: forecast {forecast} of {duration(left_s)} left")
    return StageEntry(settings=rungs[place], forecast_s=round(forecasts_s[place], 1), left_s=round(left_s, 1))


def last_cost(folder: StagesDir, record: StagesRecord, cfg: Config) -> StageCost:
    """Return what the last finished stage took."""
    number = len(record.stages) - 1
    entry = record.stages[number]
    return measured_cost(folder.stage(number), entry.settings, cfg, record.photos, entry.took_s or entry.passed_s)
