"""The ladder of stages for a data set and a backbone, and its forecast from a few real steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls import config
from maskcls.data.rows.manifest import real_rows
from maskcls.nn.backbone_sizes import takes
from maskcls.rundir import RunDir, StagesDir
from maskcls.runs.checks import wanted_folds
from maskcls.runs.stages.forecasting import StageCost, measures, network_count, planned_stages
from maskcls.runs.stages.ladder import Size, StageSettings, ladder, stage_config, stage_work, without_heads
from maskcls.schema import Config
from maskcls.show.runs.stages import LadderForecast
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment, read_experiment
from maskcls.training.forecasting.forecast import forecast, planned
from maskcls.training.heads.fittable import why_too_large, why_unfittable


@dataclass(frozen=True)
class StageLadder:
    """The settings that stages may have.

    photos  labelled ones of the data set. free: the settings that the stages choose.
    without_heads  why no stage fits heads; "" where one does, or all do.
    """

    rungs: tuple[StageSettings, ...]
    photos: int
    free: tuple[str, ...]
    without_heads: str


def stage_ladder(data: Path, cfg: Config, free: Sequence[str], folder: StagesDir) -> StageLadder:
    """Return the ladder of a data set; free: see `ladder.free_settings`."""
    experiment = read_experiment(cfg, data, RunDir(folder.path))
    photos = int(real_rows(experiment.manifest).sum())
    why = "" if cfg.model.train == "heads" else _why_no_heads(experiment, free)
    free = tuple(key for key in free if key != "model.train" or not why)
    known: dict[Size, bool] = {}

    def all_take(size: Size) -> bool:
        if size not in known:
            own = cfg.transforms.size
            known[size] = size == own or all(takes(one.model.trunk, size) for one in config.members(cfg).values())
        return known[size]

    return StageLadder(tuple(ladder(cfg, free, photos, all_take)), photos, free, why)


def _why_no_heads(experiment: Experiment, free: Sequence[str]) -> str:
    """Say why no stage fits heads: settings, labels of a fold's training rows, or memory do not allow it."""
    cfg = experiment.cfg
    if "model.train" not in free:
        return without_heads(cfg) or f"model.train={cfg.model.train} was given"
    return why_unfittable(experiment) or why_too_large(experiment, experiment.kinds)


def forecast_ladder(
    data: Path, cfg: Config, free: Sequence[str], folder: StagesDir, folds: str | None, limit_s: float, report: Reporter
) -> LadderForecast:
    """Measure the features of a few photos and a few real steps, and forecast all stages; nothing is written.

    What came before a measurement, such as reading, is counted for every stage that is forecast from it. Raises what
    `train` would raise.
    """
    began_s = time.monotonic()
    found = stage_ladder(data, cfg, free, folder)
    seconds: list[float] = []
    measured: list[str] = []
    for place, rung in enumerate(found.rungs):
        own = stage_config(cfg, rung)
        work = stage_work(rung, cfg, found.photos)
        networks = network_count(rung, cfg, None if folds is None else len(wanted_folds(folds, own.folds.k)))
        if measures(found.rungs, place):
            few = forecast(planned(data, own, folder.stage(0), folds), folds, report)
            cost = StageCost(work, networks, few.seconds, few.seconds, few.seconds + time.monotonic() - began_s)
            measured.append(few.measured)
            began_s = time.monotonic()
        seconds.append(cost.forecast_s(work, networks))
    stages = planned_stages(found.rungs, seconds, limit_s)
    return LadderForecast(
        found.rungs, tuple(seconds), tuple(stages), found.free, limit_s, tuple(measured), found.without_heads, folds
    )
