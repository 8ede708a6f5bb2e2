"""What a job does in a run: prepare it, train one network, or finish it. Each gives the bits of one process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls import files
from maskcls.engine.device import Accelerator, start
from maskcls.errors import ResourceError, UsageError, WeightsError
from maskcls.jobs.queue import job_name
from maskcls.jobs.request import TrainRequest, read_request
from maskcls.rundir import REFIT, RunDir
from maskcls.runs.checks import refuse_existing
from maskcls.runs.environment import Environment, machine_differences, this_machine
from maskcls.runs.locks import run_lock
from maskcls.runs.records.times import PartTimer, add_times
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_photos
from maskcls.training.experiment import Experiment, Member
from maskcls.training.fold import finish_fold, is_trained, train_fold
from maskcls.training.folds import continuing, finish_folds, refitting, train_folds
from maskcls.training.heads.baseline import save_baseline
from maskcls.training.heads.starting_heads import save_starting_heads
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.preparing import prepare_experiment
from maskcls.training.stored_experiment import check_data_unchanged, open_experiment, weights_hashes, write_identity
from maskcls.training.tracking.guard import Guard


def prepare_run(run: RunDir, report: Reporter) -> None:
    """Do what `maskcls train` does before its first network, and write what the run is; see `TrainRequest`.

    The command that watches holds the lock of the run.
    """
    asked = read_request(run.jobs, TrainRequest)
    accelerator, timer = start(asked.config.device), PartTimer("train")
    experiment, wanted = prepare_experiment(
        Path(asked.data), asked.config, run, folds=asked.folds, accelerator=accelerator, timer=timer, report=report
    )
    refuse_existing(run, Path(asked.data))
    run_lock.sweep_run(run)
    machine = this_machine(accelerator.device, accelerator.num_processes)
    write_identity(experiment, wanted, machine, asked.origins)
    add_times(run, None, timer.times)


def train_one_network(run: RunDir, name: str, data: Path | None, report: Reporter) -> None:
    """Train the network whose job has this name, from its last save.

    A network with validation rows is scored later, by `finish_run`: its epoch is chosen by the other folds.
    """
    experiment, env, accelerator = _opened(run, data, report)
    member, k = network_of(experiment, env.folds, name)
    with files.filling(run.path), Guard(experiment.cfg.track, report) as guard:
        save_starting_heads(experiment, [(member, k)], accelerator, report)
        if not member.continued and k != REFIT:
            if not is_trained(experiment, member, k):
                train_fold(experiment, member, k, accelerator, report, guard)
            return
        how = continuing(member) if member.continued else refitting(experiment, member, env.folds)
        train_fold(experiment, how, k, accelerator, report, guard)
        finish_fold(experiment, how, k, experiment.fold_dir(member, k).last, accelerator)


def finish_run(run: RunDir, data: Path | None, report: Reporter) -> None:
    """Choose the epochs of the trained folds and score them; then, without further networks, put the results together.

    Of further networks, one is trained here at once; several are left to jobs of their own.
    """
    experiment, env, accelerator = _opened(run, data, report)
    with files.filling(run.path):
        if experiment.cfg.model.train == "all" and len(further_networks(experiment, env.folds)) > 1:
            save_baseline(experiment, env.folds, accelerator, report)  # a fold that is done gets none
            for member in experiment.members:
                finish_folds(experiment, member, env.folds, accelerator, report)
        else:
            train_folds(experiment, env.folds, accelerator, report)


def untrained_folds(experiment: Experiment, folds: Sequence[int]) -> list[tuple[Member, int]]:
    """Return the networks with validation rows whose training is not over."""
    return [
        (member, k)
        for member in experiment.members
        for k in folds
        if not experiment.fold_dir(member, k).done.exists() and not is_trained(experiment, member, k)
    ]


def unscored_folds(experiment: Experiment, folds: Sequence[int]) -> bool:
    """Tell whether a network with validation rows is not finished."""
    return any(not experiment.fold_dir(member, k).done.exists() for member in experiment.members for k in folds)


def further_networks(experiment: Experiment, folds: Sequence[int]) -> list[tuple[Member, int]]:
    """Return the networks without validation rows that are not finished: those continued, those of all rows."""
    return [
        (member, k)
        for member, k in experiment.trainings(folds)
        if (member.continued or k == REFIT) and not experiment.fold_dir(member, k).done.exists()
    ]


def name_of(experiment: Experiment, member: Member, k: int) -> str:
    """Return the name of the job of a network."""
    return job_name(experiment.run.place(experiment.fold_dir(member, k).path))


def network_of(experiment: Experiment, folds: Sequence[int], name: str) -> tuple[Member, int]:
    """Return the network whose job has this name."""
    for member, k in experiment.trainings(folds):
        if name_of(experiment, member, k) == name:
            return member, k
    raise UsageError("the run has no such network", where=str(experiment.run.path), got=name, fix="give --on again")


def _opened(run: RunDir, data: Path | None, report: Reporter) -> tuple[Experiment, Environment, Accelerator]:
    """Read the experiment back as a resume does, and check what may have changed since the run was prepared."""
    experiment, env = open_experiment(run, data)
    check_data_unchanged(experiment)
    if weights_hashes(experiment) != env.weights:
        fix = "restore the file, or train a new run"
        raise WeightsError("the starting weights are not the ones this run began with", where="model.weights", fix=fix)
    accelerator = start(experiment.cfg.device, settable=False)
    now = this_machine(accelerator.device, accelerator.num_processes)
    if now.device.partition(":")[0] != env.device.partition(":")[0]:
        raise ResourceError(
            "the job has another kind of device than the run was prepared on",
            where=str(run.path),
            got=now.device,
            expected=env.device,
            fix="ask for the same devices, such as gpus=1",
        )
    for line in machine_differences(env.machine, now):
        report.note(f"not bit-exact with what was trained before: {line}")
    with cured_by_restoring():
        experiment = with_photos(experiment, accelerator, report, build=False)
    return experiment, env, accelerator
