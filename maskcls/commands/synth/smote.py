"""maskcls synth train RUN --kind smote: fit a run's heads again, with examples between the embeddings of its people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from maskcls import files
from maskcls.engine.device import start
from maskcls.errors import ConfigError, DataError, ResultError, UsageError, shell_word
from maskcls.machine import refuse_several
from maskcls.rundir import RunDir
from maskcls.runs.checks import refuse_existing
from maskcls.runs.environment import this_machine
from maskcls.runs.integrity.network_checks import refuse_changed_files
from maskcls.runs.locks import run_lock
from maskcls.runs.records.times import NETWORKS, PHOTOS, PartTimer, add_times
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.show.synth.retrained_heads import RetrainedHeads
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.embedded.heads_origin import origin_of, read_origin_run
from maskcls.synth.embedded.retrained_fold import refuse_other_heads
from maskcls.synth.embedded.retraining import finished_heads, fit_all_heads
from maskcls.synth.loop.all_folds import rare_set, refuse_few
from maskcls.training.checks import with_photos
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.stored_experiment import open_with_photos, write_identity


def retrain_heads(
    source: RunDir,
    run: RunDir,
    cfg: Config,
    *,
    force: bool,
    report: Reporter,
    origins: Mapping[str, str] | None = None,
    data: Path | None = None,
) -> RetrainedHeads:
    """Fit the heads of every network of a finished run again, and write a run that has them.

    source  a run with plain heads. run: the folder to make.
    cfg     the configuration of the source, with other settings of `synth` and `device`.
    force   make them below synth.least_groups too.
    origins  where each setting comes from, see `train`. data: where the data set is now; None: where it was.

    Raises BusyError when the folder holds a run already, UsageError for other heads, for a run trained with added rows
    or one of retrained heads, and for several processes; DataError for too few people, ResultError or WeightsError for
    a run that is not finished or was changed.
    """
    refuse_several("the fitting of heads")
    with report.busy("reading the run"):
        trained, env = open_with_photos(source, data)
    refuse_existing(run, trained.data)
    _refuse_unfit(trained, env.folds)
    if cfg.seed != trained.cfg.seed:
        fix = "leave it out"
        raise ConfigError("the seed is that of the run's networks", where="seed", got=str(cfg.seed), fix=fix)
    experiment = replace(trained, cfg=cfg, run=run)
    if not force:
        numbers = list(dict.fromkeys(k for _, k in experiment.trainings(env.folds)))
        refuse_few({k: rare_set(experiment, k) for k in numbers}, cfg.synth.least_groups, group_noun(cfg))
    origin = origin_of(trained, trained.trainings(env.folds), cfg)
    accelerator, timer = start(cfg.device), PartTimer("synth train")
    with timer.part(PHOTOS), cured_by_restoring():
        experiment = with_photos(experiment, accelerator, report)
    with run_lock.lock_new(run):
        refuse_existing(run, trained.data)  # once more: another process may have made and finished a run since
        run_lock.sweep_run(run)
        machine, further = this_machine(accelerator.device, 1), {run.heads_origin: files.json_bytes(origin.to_json())}
        write_identity(experiment, env.folds, machine, origins, further=further, weights=env.weights)
        add_times(run, None, timer.times)
        with timer.part(NETWORKS):
            summary = fit_all_heads(experiment, source, env.folds, accelerator, report)
        add_times(run, None, timer.times)
    return finished_heads(experiment, source, env.folds, summary, report)


def _refuse_unfit(trained: Experiment, folds: Sequence[int]) -> None:
    """Raise what keeps the heads of this run from being fitted again."""
    run, cfg = trained.run, trained.cfg
    if run.heads_origin.exists():
        first = read_origin_run(run).path
        raise UsageError("the heads of this run were fitted again already", where=str(run.path), fix=f"use {first}")
    added = {"data.pseudo": cfg.data.pseudo, "data.synth": cfg.data.synth}
    if named := [f"{key}={value}" for key, value in added.items() if value is not None]:
        raise UsageError(
            "heads are fitted again on labelled photos alone",
            where=str(run.path),
            got=", ".join(named),
            fix="use a run that was trained without added rows",
        )
    for member in trained.kinds:
        refuse_other_heads(member)
    left = [member.title(k) for member, k in trained.trainings(folds) if not trained.fold_dir(member, k).done.exists()]
    if left or not run.summary.exists():
        fix = f"maskcls resume {shell_word(run.path)}"
        raise ResultError("the run is not finished", where=str(run.path), offenders=left, fix=fix)
    refuse_changed_files(run, [trained.fold_dir(member, k) for member, k in trained.trainings(folds)])
    if not (trained.cfg.space.encode(trained.labels) >= 0).any():
        raise DataError(
            "no photo has a label of every task", where=str(run.manifest), fix="label some photos for every task"
        )
