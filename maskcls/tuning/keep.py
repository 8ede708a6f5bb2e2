"""What stays of the trials on disk: the best are kept whole, of the others the out-of-fold rows, logs and settings."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress

from maskcls.errors import BusyError, MaskclsError
from maskcls.results.search.study import SearchStudy
from maskcls.rundir import RunDir
from maskcls.runs.locks import run_lock
from maskcls.tuning.claims import OpenStudy
from maskcls.tuning.winner import run_of

Strip = Callable[[RunDir, bool], object]  # deletes the resume state of a finished run, and its best weights if so told


def free_disk(opened: OpenStudy, study: SearchStudy, keep: int, strip: Strip) -> None:
    """Delete what the trials do not need.

    keep   how many of the best keep their weights. More trials only move a trial down in the order, so that a worker
           that knows fewer trials than another deletes nothing that the other keeps.
    strip  what `runs prune` does to a finished run.

    A trial on which another process works is left for the next time, and so is one whose files cannot be read.
    """
    for place, one in enumerate(study.ranked):
        run = run_of(opened, one)
        if _has_states(run) or (place >= keep and run.best_weights()):
            with suppress(MaskclsError):
                strip(run, place >= keep)
    for one in study.trials:
        if one.state in ("pruned", "failed"):
            _drop_weights(run_of(opened, one))


def _has_states(run: RunDir) -> bool:
    return any(network.resume.exists() or network.last.path.exists() for network in run.all_networks())


def _drop_weights(run: RunDir) -> None:
    """Delete all weights of a run that will never be finished."""
    folders = [
        path
        for network in run.all_networks()
        for path in (network.resume, network.candidates, network.last.path, network.best.path)
        if path.exists()
    ]
    if folders:
        with suppress(BusyError), run_lock.lock(run):
            for path in folders:
                shutil.rmtree(path, ignore_errors=True)
