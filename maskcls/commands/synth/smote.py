"""maskcls synth train RUN --kind smote: fit a run's heads anew, with examples between the embeddings of its people."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from maskcls import files
from maskcls.engine.device import Accelerator, start
from maskcls.errors import DataError, ResultError, UsageError
from maskcls.rundir import RunDir
from maskcls.runs.checks import refuse_existing
from maskcls.runs.choices.tried import add_run
from maskcls.runs.environment import Environment, machine_differences, this_machine
from maskcls.runs.integrity.network_checks import refuse_changed_files
from maskcls.runs.locks import run_lock
from maskcls.runs.records.times import NETWORKS, PHOTOS, PartTimer, add_times, read_times
from maskcls.runs.summary import RunSummary
from maskcls.schema import Config
from maskcls.schema.synth import SynthConfig
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.heads_comparison import HeadsComparison, compare_heads
from maskcls.synth.embedded.heads_origin import origin_of, read_origin_run
from maskcls.synth.embedded.rare_people import refuse_few_rare_people
from maskcls.synth.embedded.retrained_fold import refuse_other_heads, retrain_fold
from maskcls.training.assemble import assemble
from maskcls.training.checks import with_photos
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.stored_experiment import open_experiment, refuse_missing_data, write_identity


@dataclass(frozen=True)
class RetrainedHeads:
    """A finished run of retrained heads: its scores, and whether the interpolated examples helped."""

    summary: RunSummary
    comparison: HeadsComparison


def retrain_heads(
    source: RunDir,
    run: RunDir,
    synth: SynthConfig,
    *,
    force: bool,
    report: Reporter,
    origins: Mapping[str, str] | None = None,
) -> RetrainedHeads:
    """Fit the heads of every network of a finished run anew, and write a run that has them.

    source  a run with plain heads. run: the folder to make.
    synth   classes, per_class, neighbours, weight and least_groups are used; the kind becomes smote.
    force   make them below synth.least_groups too.
    origins  where each setting comes from, see `train`.

    Raises BusyError when the folder holds a run already, UsageError for other heads, for a run trained with added rows
    or one of retrained heads, and for several processes; DataError for too few people, ResultError or WeightsError for
    a run that is not finished or was changed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("heads are retrained in one process", fix="start it without torchrun or accelerate launch")
    with report.busy("reading the run"):
        trained, env = open_experiment(source)
    refuse_missing_data(trained)
    refuse_existing(run, trained.data)
    _refuse_unfit(trained, env.folds)
    own = trained.cfg.model_copy(update={"synth": synth.model_copy(update={"kind": "smote"})})
    experiment = _with_config(trained, own, run)
    if not force:
        refuse_few_rare_people(experiment, env.folds)
    origin = origin_of(trained, trained.trainings(env.folds), own)
    accelerator, timer = start(own.device), PartTimer("synth train")
    with timer.part(PHOTOS), cured_by_restoring(takes_data=False):
        experiment = with_photos(experiment, accelerator, report)
    with run_lock.lock_new(run):
        refuse_existing(run, trained.data)  # once more: another process may have made and finished a run since
        run_lock.sweep_run(run)
        machine, further = this_machine(accelerator.device, 1), {run.heads_origin: files.json_bytes(origin.to_json())}
        write_identity(experiment, env.folds, machine, origins, further=further, weights=env.weights)
        add_times(run, None, timer.times)
        with timer.part(NETWORKS):
            summary = _fit_all(experiment, source, env.folds, accelerator, report)
        add_times(run, None, timer.times)
    return _finished(experiment, source, env.folds, summary, report)


def finish_heads(experiment: Experiment, env: Environment, *, report: Reporter) -> RetrainedHeads:
    """Finish a run of retrained heads that was interrupted; a finished one is only compared again.

    experiment, env  of the run, see `open_experiment`.

    Raises WeightsError when the run that its trunks are from is gone or another one.
    """
    run = experiment.run
    source = read_origin_run(run)
    accelerator, timer = start(experiment.cfg.device), PartTimer("resume")
    with timer.part(PHOTOS), cured_by_restoring(takes_data=False):
        experiment = with_photos(experiment, accelerator, report)
    with run_lock.lock(run):
        run_lock.sweep_run(run)
        for line in machine_differences(env.machine, this_machine(accelerator.device, 1)):
            report.note(f"not bit-exact with the heads before: {line}")
        before = read_times(run)
        with timer.part(NETWORKS):
            summary = _fit_all(experiment, source, env.folds, accelerator, report)
        add_times(run, before, timer.times)
    return _finished(experiment, source, env.folds, summary, report)


def _with_config(experiment: Experiment, cfg: Config, run: RunDir) -> Experiment:
    return replace(experiment, cfg=cfg, run=run)


def _fit_all(
    experiment: Experiment, source: RunDir, folds: Sequence[int], accelerator: Accelerator, report: Reporter
) -> RunSummary:
    """Fit what is not fitted yet, and assemble the results; the networks without validation rows come last."""
    for member, k in experiment.trainings(folds):
        if not experiment.fold_dir(member, k).done.exists():
            report.note(f"fitting the heads of {member.title(k)}")
            retrain_fold(experiment, source, member, k, accelerator, report)
    with report.busy("scoring the out-of-fold rows"):
        return assemble(experiment, folds)


def _finished(
    experiment: Experiment, source: RunDir, folds: Sequence[int], summary: RunSummary, report: Reporter
) -> RetrainedHeads:
    if not_counted := add_run(experiment.run):
        report.note(not_counted)
    return RetrainedHeads(summary, compare_heads(experiment, source, folds))


def _refuse_unfit(trained: Experiment, folds: Sequence[int]) -> None:
    """Raise what keeps the heads of this run from being fitted anew."""
    run, cfg = trained.run, trained.cfg
    if run.heads_origin.exists():
        first = read_origin_run(run).path
        raise UsageError("the heads of this run were fitted anew already", where=str(run.path), fix=f"use {first}")
    added = {"data.pseudo": cfg.data.pseudo, "data.synth": cfg.data.synth}
    if named := [f"{key}={value}" for key, value in added.items() if value is not None]:
        raise UsageError(
            "heads are fitted anew on labelled photos alone",
            where=str(run.path),
            got=", ".join(named),
            fix="use a run that was trained without added rows",
        )
    for member in trained.kinds:
        refuse_other_heads(member)
    left = [member.title(k) for member, k in trained.trainings(folds) if not trained.fold_dir(member, k).done.exists()]
    if left or not run.summary.exists():
        fix = f"maskcls resume {run.path}"
        raise ResultError("the run is not finished", where=str(run.path), offenders=left, fix=fix)
    refuse_changed_files(run, [trained.fold_dir(member, k) for member, k in trained.trainings(folds)])
    if not (trained.cfg.space.encode(trained.labels) >= 0).any():
        raise DataError(
            "no photo has a label of every task", where=str(run.manifest), fix="label some photos for every task"
        )
