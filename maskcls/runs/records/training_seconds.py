"""How long a run's networks were trained, from their logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from maskcls.errors import ResultError
from maskcls.rundir import FoldDir, RunDir
from maskcls.runs.integrity.epoch_log import read_log
from maskcls.runs.networks import RunNetwork


def training_seconds(run: RunDir, networks: Sequence[RunNetwork], fold_jobs: Mapping[str, int]) -> float:
    """Return the training and validation seconds of a run's networks, from their logs.

    fold_jobs  how many folds of a task were trained side by side; networks without validation are trained alone.

    Raises ResultError when a log cannot be read, or one of a finished network is missing.
    """
    folds = len({one.fold for one in networks if one.scored})
    return sum(
        _log_seconds(one.folder(run)) / (min(fold_jobs.get(one.task, 1), folds) if one.scored else 1)
        for one in networks
    )


def _log_seconds(folder: FoldDir) -> float:
    if not folder.log.exists() and not folder.done.exists():
        return 0.0
    try:
        return float(sum(line["seconds"] for line in read_log(folder)))
    except (KeyError, TypeError) as error:
        raise ResultError(
            "a log cannot be read", where=str(folder.log), got=repr(error), fix="restore it from a copy of the run"
        ) from None
