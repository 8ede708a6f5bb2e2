"""The ladder of stages for a data set and a backbone, and its forecast from a few real steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from maskcls import config
from maskcls.data.rows.manifest import real_rows
from maskcls.nn.backbone_sizes import takes
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.checks import wanted_folds
from maskcls.runs.stages.forecasting import StageCost, forecasts, network_count, planned_stages
from maskcls.runs.stages.ladder import Size, StageSettings, ladder, stage_config, stage_work
from maskcls.schema import Config
from maskcls.show.runs.stages import LadderForecast
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import read_experiment
from maskcls.training.forecasting.forecast import forecast, planned


def stage_ladder(data: Path, cfg: Config, free: Sequence[str], folder: StagesDir) -> tuple[list[StageSettings], int]:
    """Return the settings that stages may have, and the number of labelled photos."""
    manifest = read_experiment(cfg, data, RunDir(folder.path)).manifest
    photos = int(real_rows(manifest).sum())
    known: dict[Size, bool] = {}

    def all_take(size: Size) -> bool:
        if size not in known:
            own = cfg.transforms.size
            known[size] = size == own or all(takes(one.model.backbone, size) for one in config.members(cfg).values())
        return known[size]

    return ladder(cfg, free, photos, all_take), photos


def forecast_ladder(
    data: Path, cfg: Config, free: Sequence[str], folder: StagesDir, folds: str | None, limit_s: float, report: Reporter
) -> LadderForecast:
    """Measure a few real steps with the first settings of the ladder, and forecast all others; nothing is written.

    What came before the measurement, such as reading, is counted for every stage. Raises what `train` would raise.
    """
    began_s = time.monotonic()
    rungs, photos = stage_ladder(data, cfg, free, folder)
    first = stage_config(cfg, rungs[0])
    measured = forecast(planned(data, first, folder.stage(0), folds), folds, report)
    wanted = None if folds is None else len(wanted_folds(folds, first.folds.k))
    trained_s, before_s = measured.seconds, time.monotonic() - began_s
    networks = network_count(rungs[0], cfg, wanted)
    cost = StageCost(stage_work(rungs[0], cfg, photos), networks, trained_s, trained_s, trained_s + before_s)
    seconds = forecasts(rungs, cost, cfg, photos, wanted)
    stages = planned_stages(rungs, seconds, limit_s)
    return LadderForecast(tuple(rungs), tuple(seconds), tuple(stages), tuple(free), limit_s, measured.measured)
