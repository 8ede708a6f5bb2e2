"""maskcls resume: keep what is finished, continue what is not."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from maskcls import files, rundir
from maskcls.engine.device import start
from maskcls.engine.processes import lost_processes_as_errors
from maskcls.errors import WeightsError
from maskcls.rundir import REFIT, RunDir
from maskcls.show.progress import Reporter, main_process
from maskcls.training.checks import check_experiment, with_photos
from maskcls.training.experiment import (
    Experiment,
    check_data_unchanged,
    environment,
    open_experiment,
    wanted_folds,
    weights_hashes,
)
from maskcls.training.folds import train_folds
from maskcls.training.starting_weights import check_starting_weights


@lost_processes_as_errors()
def resume(run: RunDir, *, folds: str | None, report: Reporter) -> dict[str, Any]:
    """Finish the folds the run was asked for, and `folds` as well; returns the run's summary.

    A finished run is left as it is. Processes that do not write return {}.
    Raises ResultError or WeightsError when the run or its data set was changed.
    """
    experiment, env = open_experiment(run)
    wanted = sorted({*env["folds"], *(wanted_folds(folds, experiment.cfg.folds.k) if folds is not None else ())})
    if (summary := finished_summary(experiment, wanted)) is not None:
        report.note(f"{run.path} is complete; nothing to do")
        return summary if main_process() else {}
    accelerator = start(experiment.cfg.device)
    check_data_unchanged(experiment)
    check_experiment(experiment, report)
    check_starting_weights(experiment, wanted)
    if weights_hashes(experiment) != env["weights"]:
        raise WeightsError(
            "the starting weights are not the ones this run began with",
            where="model.weights",
            fix="restore the file, or train a new run",
        )
    experiment = with_photos(experiment, accelerator, report)
    if not accelerator.is_main_process:
        return train_folds(experiment, wanted, accelerator, report)
    with rundir.lock(run):
        rundir.sweep(run)
        now = environment(accelerator.device, accelerator.num_processes)
        for line in differences(env, now):
            report.note(f"not bit-exact with the epochs before: {line}")
        if wanted != env["folds"]:
            forget_refit(experiment, report)
            files.commit_json(run.env, env | {"folds": wanted})
        return train_folds(experiment, wanted, accelerator, report)


def forget_refit(experiment: Experiment, report: Reporter) -> None:
    """Delete the networks of all rows: they were trained for as long as fewer folds chose."""
    for member in experiment.members:
        folder = experiment.fold_dir(member, REFIT).path
        if folder.exists():
            report.note(f"{folder} is trained anew, for the epochs that more folds choose")
            shutil.rmtree(folder)


def finished_summary(experiment: Experiment, wanted: Sequence[int]) -> dict[str, Any] | None:
    """Return the run's summary if every wanted fold is done and in it; None when something is left to do."""
    folders = [experiment.fold_dir(member, k) for member, k in experiment.trainings(wanted)]
    if not experiment.run.summary.exists() or not all(folder.done.exists() for folder in folders):
        return None
    summary: dict[str, Any] = files.read_json(experiment.run.summary)
    return summary if list(summary["folds"]) == [str(k) for k in wanted] else None


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return `name: old -> new` for every version or part of the machine that differs."""
    flat_before, flat_now = before | before["packages"], now | now["packages"]
    return [
        f"{name}: {flat_before.get(name)} -> {value}"
        for name, value in flat_now.items()
        if name != "packages" and flat_before.get(name) != value
    ]
