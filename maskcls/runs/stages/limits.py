"""What a training with a time limit cannot do, said before it begins."""

from __future__ import annotations

import math

from maskcls.durations import parse_duration
from maskcls.errors import UsageError
from maskcls.machine import refuse_several
from maskcls.rundir import StagesDir
from maskcls.runs.stages.record import read_begun_stages
from maskcls.schema import Config


def check_staging(cfg: Config) -> None:
    """Raise UsageError for repeats and for several processes."""
    if cfg.folds.repeats > 1:
        raise UsageError(
            "stages are single cross-validations",
            where=f"--budget, folds.repeats={cfg.folds.repeats}",
            fix="leave out one of them",
        )
    refuse_several("a training with a time limit", "--budget")


def check_resuming_stages(folder: StagesDir, budget: str | None, folds: str | None) -> float:
    """Return the time limit in seconds of a training that is to be continued; infinity without one.

    Raises UsageError for a wrong time and for `folds`, ResultError when no stage had begun.
    """
    read_begun_stages(folder)
    if folds is not None:
        fix = "leave it out: stages have the folds that train was given"
        raise UsageError("stages get no further folds", where=str(folder.path), got=f"--folds {folds}", fix=fix)
    return math.inf if budget is None else parse_duration(budget, "--budget")
