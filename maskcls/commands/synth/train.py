"""maskcls synth train: train one generator per fold on photos of its training people, and one on all rows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import assert_never

import torch

from maskcls.engine.compute.plan import Plan
from maskcls.engine.device import start
from maskcls.machine import refuse_several
from maskcls.results.added.set_names import set_name
from maskcls.rundir import REFIT, RunDir, SynthDir
from maskcls.runs.checks import wanted_folds
from maskcls.runs.environment import this_machine
from maskcls.runs.generators.synth_checks import refuse_existing_generators
from maskcls.runs.locks import run_lock
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.show.synth.synth_training import SynthTraining
from maskcls.show.terminal.progress import Reporter
from maskcls.synth.cyclegan.enough_people import check_translations
from maskcls.synth.facts_file import FACTS_SCHEMA, SynthFacts, write_facts
from maskcls.synth.loop.all_folds import rare_set, refuse_few, train_generators
from maskcls.synth.loop.open_generators import experiment_of, with_plan, with_small_photos
from maskcls.synth.loop.optimizers import synth_execution
from maskcls.training.added.added_source import folds_sha256
from maskcls.training.stored_experiment import write_identity


def train_synth(
    source: Path,
    cfg: Config,
    folder: SynthDir,
    *,
    folds: str | None,
    minutes: float | None,
    force: bool,
    report: Reporter,
    origins: Mapping[str, str] | None = None,
    data: Path | None = None,
) -> SynthTraining:
    """Train the generators of the wanted folds, and without `folds` that of all rows too.

    source   a run, of which data and folds are used, or a data set.
    minutes  after which the training ends, to be continued by `synth resume`; None: it ends with the last step.
    force    train also with fewer people than synth.least_groups; without it, DataError.
    origins  where each setting comes from, by dotted key.
    data     where the data set of the run is now; None: where it was.
    """
    match cfg.synth.kind:
        case "smote" | "oversample":
            raise AssertionError("check_kind refused it, or retrain_heads does it")
        case "dcgan" | "wgan-gp" | "cyclegan":
            return _train_image_generators(
                source,
                cfg,
                folder,
                folds=folds,
                minutes=minutes,
                force=force,
                report=report,
                origins=origins,
                data=data,
            )
        case _:
            assert_never(cfg.synth.kind)


def _train_image_generators(
    source: Path,
    cfg: Config,
    folder: SynthDir,
    *,
    folds: str | None,
    minutes: float | None,
    force: bool,
    report: Reporter,
    origins: Mapping[str, str] | None,
    data: Path | None,
) -> SynthTraining:
    ends_s = None if minutes is None else time.monotonic() + 60 * minutes
    accelerator = start(cfg.device)
    refuse_several("maskcls synth")
    execution = synth_execution(cfg.device, accelerator.device)
    with report.busy("reading labels and folds"):
        experiment = experiment_of(source, cfg, folder, data)
    report.notes(experiment.notes)
    numbers = [*wanted_folds(folds, cfg.folds.k), *([REFIT] if folds is None else [])]
    sets, noun = {k: rare_set(experiment, k) for k in numbers}, group_noun(experiment.cfg)
    if not force:
        refuse_few(sets, cfg.synth.least_groups, noun)
    if cfg.synth.kind == "cyclegan":
        check_translations(experiment, numbers, forced=force)
    experiment = with_small_photos(experiment, accelerator, report)
    plan = Plan(execution, execution, threads=torch.get_num_threads())
    experiment = replace(experiment, plans={"": plan})
    facts = SynthFacts(
        schema=FACTS_SCHEMA,
        kind=cfg.synth.kind,
        folds_sha256=folds_sha256(experiment.manifest, experiment.folds),
        k=cfg.folds.k,
        space=cfg.space.fingerprint,
        sets={set_name(k): one for k, one in sets.items()},
        least_groups=cfg.synth.least_groups,
        forced=force,
        run=str(source.resolve()) if RunDir(source).env.is_file() else None,
    )
    run = folder.experiment
    with run_lock.lock_new(run):
        refuse_existing_generators(folder, [])  # once more: another process may have begun since
        run_lock.sweep_run(run)
        write_facts(folder, facts)
        machine = this_machine(accelerator.device, accelerator.num_processes)
        write_identity(experiment, wanted_folds(folds, cfg.folds.k), machine, origins)
        experiment = replace(experiment, cfg=with_plan(experiment.cfg, plan))
        trained = train_generators(experiment, folder, sets, accelerator, report, ends_s=ends_s)
    return SynthTraining(folder.path, cfg.synth.kind, noun, tuple(trained))
