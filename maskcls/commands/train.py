"""maskcls train: train one network per fold on photos and labels, and write a run folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from maskcls.engine.device import start
from maskcls.engine.processes.shared_fate import lost_processes_as_errors
from maskcls.jobs.farm import train_with_jobs
from maskcls.jobs.running import refuse_running_jobs
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_training, refuse_existing
from maskcls.runs.choices.tried import add_run
from maskcls.runs.choices.tried_rows import read_optimism
from maskcls.runs.environment import this_machine
from maskcls.runs.locks import run_lock
from maskcls.runs.records.times import NETWORKS, PartTimer, add_times
from maskcls.runs.repeats.repeat_runs import refuse_single
from maskcls.runs.summary import RunSummary
from maskcls.schema import Config
from maskcls.show.answers.many import optimism_line
from maskcls.show.terminal.progress import Reporter
from maskcls.training.folds import train_folds
from maskcls.training.preparing import prepare_experiment
from maskcls.training.stored_experiment import note_changed_data, write_identity


@lost_processes_as_errors()
def train(
    data: Path,
    cfg: Config,
    run: RunDir,
    *,
    folds: str | None,
    report: Reporter,
    origins: Mapping[str, str] | None = None,
    planned: Callable[[float | None], None] = lambda expected_s: None,
    on: str | None = None,
) -> RunSummary | None:
    """Train the wanted folds of every member from the start, and return the run's summary.

    origins  where each setting comes from, by dotted key; kept in the run for people who read about it.
    planned  gets the forecast of the networks' seconds, from the speeds that were measured on this machine; None
             without them.
    on       the engine whose jobs prepare the run and train its networks, see `parse_engine`; None: this process does.

    Raises BusyError when the run folder holds a run already; nothing is ever overwritten. Processes that do not
    write return None.
    """
    refuse_single(cfg, run)
    check_training(data, cfg, folds)
    if on is not None:
        refuse_existing(run, data)
        found = train_with_jobs(data, cfg, run, folds=folds, origins=origins, on=on, report=report)
        _note_choices(run, report)
        return found
    accelerator, timer = start(cfg.device), PartTimer("train")
    if accelerator.is_main_process:
        refuse_existing(run, data)
    experiment, wanted = prepare_experiment(
        data, cfg, run, folds=folds, accelerator=accelerator, timer=timer, report=report
    )
    planned(experiment.expected_s)
    if not accelerator.is_main_process:
        return train_folds(experiment, wanted, accelerator, report)
    with run_lock.lock_new(run):
        refuse_running_jobs(run)
        refuse_existing(run, data)  # once more: another process may have made and finished a run since
        run_lock.sweep_run(run)
        write_identity(experiment, wanted, this_machine(accelerator.device, accelerator.num_processes), origins)
        add_times(run, None, timer.times)  # before the training, in case it is interrupted
        with timer.part(NETWORKS):
            summary = train_folds(experiment, wanted, accelerator, report)
        add_times(run, None, timer.times)
    note_changed_data(experiment, report)
    _note_choices(run, report)
    return summary


def _note_choices(run: RunDir, report: Reporter) -> None:
    """Count the run among those that were tried on its rows, and say by how much the best of them is too high."""
    if not_counted := add_run(run):
        report.note(not_counted)
    elif (optimism := read_optimism(run)) is not None:
        report.note(optimism_line(optimism))
