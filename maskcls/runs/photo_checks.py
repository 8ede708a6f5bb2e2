"""Checks of a prediction of named photos that need no torch, so that its errors come at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import config
from maskcls.errors import UsageError
from maskcls.rundir import RunDir
from maskcls.runs.checks import OTHER_GROUPS, check_overrides
from maskcls.runs.decision_file import check_calibrated

ALL_TOGETHER = "averaging over similar photos needs all photos at once"


def check_photo_prediction(model: Path, overrides: Sequence[str], *, decide: bool) -> int | None:
    """Raise what is wrong with a prediction of named photos before it begins; return `device.workers` of a run.

    model  a run folder, or a file, about which nothing is checked here.

    ResultError for what is no run, and for one that is not calibrated with `decide`; ConfigError for settings that do
    not change predictions; UsageError for those that need all photos together, and for the cache, which is not used.
    """
    if model.is_file():
        return None
    run = RunDir(model)
    cfg = check_overrides(run, overrides)
    if config.setting(overrides, "data.cache"):
        fix = "leave it out: every photo is decoded once, in memory"
        raise UsageError("named photos are not kept in the cache", where="data.cache", fix=fix)
    if cfg.predict.groups != "none":
        where = f"predict.groups={cfg.predict.groups}"
        fix = "predict.groups=none for single photos, or one data set with --data"
        raise UsageError(ALL_TOGETHER, where=where, fix=fix)
    if decide:
        own = config.load(run.config)[0].predict.groups
        if own != "none":
            raise UsageError(OTHER_GROUPS, where="--decide", expected=f"predict.groups={own}", fix="leave out --decide")
        check_calibrated(run)
    return cfg.device.workers
