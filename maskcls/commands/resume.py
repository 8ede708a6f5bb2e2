"""maskcls resume: keep what is finished, continue what is not."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from maskcls.engine.device import start
from maskcls.engine.processes.shared_fate import lost_processes_as_errors
from maskcls.errors import UsageError, WeightsError
from maskcls.jobs.ending import let_go_on
from maskcls.jobs.farm import finish_with_jobs
from maskcls.jobs.running import refuse_running_jobs
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.checks import wanted_folds
from maskcls.runs.choices.tried import add_run
from maskcls.runs.environment import Environment, machine_differences, this_machine, write_environment
from maskcls.runs.locks import run_lock
from maskcls.runs.records.times import CHECKING, NETWORKS, PHOTOS, PartTimer, add_times, read_times
from maskcls.runs.summary import RunSummary
from maskcls.show.synth.retrained_heads import verdict
from maskcls.show.terminal.progress import Reporter, main_process
from maskcls.synth.embedded.retraining import finish_heads
from maskcls.training.assemble import finished_summary
from maskcls.training.checks import check_experiment, with_photos
from maskcls.training.experiment import Experiment
from maskcls.training.folds import train_folds
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.starting_weights import check_starting_weights
from maskcls.training.stored_experiment import check_data_unchanged, note_changed_data, open_experiment, weights_hashes


@lost_processes_as_errors()
def resume(
    run: RunDir, *, folds: str | None, report: Reporter, data: Path | None = None, on: str | None = None
) -> RunSummary | None:
    """Finish the folds the run was asked for, and `folds` as well; returns the run's summary.

    data  where the run's data set is now; None: where it was. The run keeps the first place in its files.
    on    the engine whose jobs train the networks, see `parse_engine`; None: this process does. Jobs that are at work
          already are watched.

    A finished run is left as it is. Processes that do not write return None.
    Raises ResultError or WeightsError when the run or its data set was changed.
    """
    with report.busy("reading the run"):
        experiment, env = open_experiment(run, data)
    wanted = sorted({*env.folds, *(wanted_folds(folds, experiment.cfg.folds.k) if folds is not None else ())})
    if (summary := finished_summary(experiment, wanted)) is not None:
        report.note(f"{run.path} is complete; nothing to do{other_folds(wanted, experiment.cfg.folds.k)}")
        if not main_process():
            return None
        run_lock.sweep_run(run)  # the training may have been killed at its very end
        if not_counted := add_run(run):  # the training may have been killed just before
            report.note(not_counted)
        return summary
    if run.heads_origin.exists():
        if on is not None:
            raise UsageError("a run of retrained heads trains no networks", where="--on", fix="leave out --on")
        return _finish_heads(experiment, env, wanted, report)
    if on is not None:
        return _resume_with_jobs(experiment, env, wanted, data, on, report)
    accelerator, timer = start(experiment.cfg.device, settable=False), PartTimer("resume")
    with timer.part(CHECKING), report.busy("checking data and networks"):
        check_data_unchanged(experiment)
        check_experiment(experiment, report)
        check_starting_weights(experiment, wanted)
    if weights_hashes(experiment) != env.weights:
        raise WeightsError(
            "the starting weights are not the ones this run began with",
            where="model.weights",
            fix="restore the file, or train a new run",
        )
    with timer.part(PHOTOS), cured_by_restoring():
        experiment = with_photos(experiment, accelerator, report)
    if not accelerator.is_main_process:
        with cured_by_restoring():
            return train_folds(experiment, wanted, accelerator, report)
    with run_lock.lock(run):
        refuse_running_jobs(run)
        run_lock.sweep_run(run)
        now = this_machine(accelerator.device, accelerator.num_processes)
        for line in machine_differences(env.machine, now):
            report.note(f"not bit-exact with the epochs before: {line}")
        _add_folds(experiment, env, wanted, report)
        before = read_times(run)
        add_times(run, before, timer.times)
        with timer.part(NETWORKS), cured_by_restoring():
            summary = train_folds(experiment, wanted, accelerator, report)
        add_times(run, before, timer.times)
    note_changed_data(experiment, report)
    if not_counted := add_run(run):
        report.note(not_counted)
    return summary


def _resume_with_jobs(
    experiment: Experiment, env: Environment, wanted: Sequence[int], data: Path | None, on: str, report: Reporter
) -> RunSummary:
    """Finish the run with jobs; they check data, weights and photos as this process would."""
    run, timer = experiment.run, PartTimer("resume")
    with run_lock.lock(run):
        let_go_on(run.jobs)
        if wanted != list(env.folds):
            refuse_running_jobs(run)
        _add_folds(experiment, env, wanted, report)
        before = read_times(run)
        with timer.part(NETWORKS):
            summary = finish_with_jobs(run, on=on, data=data, report=report)
        add_times(run, before, timer.times)
    note_changed_data(experiment, report)
    if not_counted := add_run(run):
        report.note(not_counted)
    return summary


def _add_folds(experiment: Experiment, env: Environment, wanted: Sequence[int], report: Reporter) -> None:
    """Write into the run that it has further folds."""
    if wanted != list(env.folds):
        forget_refit(experiment, report)
        write_environment(experiment.run, env.with_folds(wanted))


def _finish_heads(
    experiment: Experiment, env: Environment, wanted: Sequence[int], report: Reporter
) -> RunSummary | None:
    """Finish a run of retrained heads; UsageError for folds that it was not made with."""
    if more := sorted({*wanted} - {*env.folds}):
        raise UsageError(
            "a run of retrained heads has the folds of the run it was made from",
            got=f"--folds {','.join(map(str, more))}",
            expected=f"folds {', '.join(map(str, env.folds))}",
            fix="train these folds of that run, then fit the heads of a new run",
        )
    found = finish_heads(experiment, env, report=report)
    report.note(verdict(found.comparison))
    return found.summary


def forget_refit(experiment: Experiment, report: Reporter) -> None:
    """Delete the networks trained on all rows: their epochs were chosen by fewer folds."""
    for member in experiment.members:
        folder = experiment.fold_dir(member, REFIT).path
        if folder.exists():
            report.note(f"{folder} is trained again, for a number of epochs chosen by more folds")
            shutil.rmtree(folder)


def other_folds(folds: Sequence[int], k: int) -> str:
    """Say which of the folds 0..k-1 are not among these, and how they are added; "" where all are.

    >>> other_folds([0], 3), other_folds([0], 1)
    ('; folds 1, 2 are not part of it; add them with --folds 1,2', '')
    """
    rest = [str(fold) for fold in range(k) if fold not in folds]
    if not rest:
        return ""
    said = f"fold {rest[0]} is not part of it; add it" if len(rest) == 1 else None
    said = said or f"folds {', '.join(rest)} are not part of it; add them"
    return f"; {said} with --folds {','.join(rest)}"
