"""maskcls train: train one network per fold on photos and labels, and write a run folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from maskcls.engine.device import start
from maskcls.engine.processes.shared_fate import lost_processes_as_errors
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_training, refuse_existing, wanted_folds
from maskcls.runs.choices.tried import add_run
from maskcls.runs.choices.tried_rows import read_optimism
from maskcls.runs.environment import this_machine
from maskcls.runs.locks import run_lock
from maskcls.runs.records.times import CHECKING, NETWORKS, PEOPLE, PHOTOS, PLANS, READING, PartTimer, add_times
from maskcls.runs.repeats.repeat_runs import refuse_single
from maskcls.runs.summary import RunSummary
from maskcls.schema import Config
from maskcls.show.answers.many import optimism_line
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import check_experiment, check_same_photos, with_absolute_paths, with_photos
from maskcls.training.experiment import read_experiment
from maskcls.training.folds import train_folds
from maskcls.training.person_clustering import with_person_clustering
from maskcls.training.plans import with_plans
from maskcls.training.starting_weights import check_starting_weights, note_seen_people
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
) -> RunSummary | None:
    """Train the wanted folds of every member from the start, and return the run's summary.

    origins  where each setting comes from, by dotted key; kept in the run for people who read about it.
    planned  gets the forecast of the networks' seconds, from the speeds that were measured on this machine; None
             without them.

    Raises BusyError when the run folder holds a run already; nothing is ever overwritten. Processes that do not
    write return None.
    """
    refuse_single(cfg, run)
    check_training(data, cfg, folds)
    wanted = wanted_folds(folds, cfg.folds.k)
    accelerator, timer = start(cfg.device), PartTimer("train")
    if accelerator.is_main_process:
        refuse_existing(run, data)
    with timer.part(READING), report.busy(READING):
        experiment = read_experiment(with_absolute_paths(cfg), data, run)
    with timer.part(CHECKING), report.busy("checking the networks"):
        check_experiment(experiment, report)
        check_starting_weights(experiment, wanted)
    note_seen_people(experiment, wanted, report)
    with timer.part(PHOTOS):
        experiment = with_photos(experiment, accelerator, report)
    if accelerator.is_main_process:
        with timer.part(CHECKING), report.busy("looking for repeated photos"):
            check_same_photos(experiment, report)
    with timer.part(PLANS):
        experiment = with_plans(experiment, wanted, accelerator, report)
    planned(experiment.expected_s)
    if not accelerator.is_main_process:
        return train_folds(experiment, wanted, accelerator, report)
    with timer.part(PEOPLE):
        experiment = with_person_clustering(experiment, report)
    with run_lock.lock_new(run):
        refuse_existing(run, data)  # once more: another process may have made and finished a run since
        run_lock.sweep_run(run)
        write_identity(experiment, wanted, this_machine(accelerator.device, accelerator.num_processes), origins)
        add_times(run, None, timer.times)  # before the training, in case it is interrupted
        with timer.part(NETWORKS):
            summary = train_folds(experiment, wanted, accelerator, report)
        add_times(run, None, timer.times)
    note_changed_data(experiment, report)
    if not_counted := add_run(run):
        report.note(not_counted)
    elif (optimism := read_optimism(run)) is not None:
        report.note(optimism_line(optimism))
    return summary
