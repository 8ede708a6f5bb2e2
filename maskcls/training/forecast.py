"""maskcls train --dry-run: the resolved configuration, the folds, and a measured forecast; nothing is written."""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from maskcls import config
from maskcls.engine.device import Accelerator, augments_on_device, start
from maskcls.engine.fit import EpochResult, build_schedule, fit
from maskcls.engine.session import open_session
from maskcls.engine.step import stage_share
from maskcls.engine.step_plan import StepPlan
from maskcls.nn.schedule import lr_at
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.show.class_counts import class_table, fold_table
from maskcls.show.progress import Reporter, main_process
from maskcls.show.spark import sparkline
from maskcls.training.checks import check_experiment, refuse_existing, with_photos
from maskcls.training.experiment import Experiment, Member, read_experiment, view_spec, wanted_folds
from maskcls.training.grouping import with_looks
from maskcls.training.plans import fresh_network, with_plans
from maskcls.training.starting_weights import check_starting_weights

PROBE_STEPS = 4
STATE_COPIES = 6  # best, last, and the resume state's weights, average and two moments


def dry_run(data: Path, cfg: Config, origins: Mapping[str, str], run: RunDir, *, folds: str | None) -> None:
    """Print what `train` would do with these arguments; raises what `train` would raise before it starts."""
    wanted = wanted_folds(folds, cfg.folds.k)
    refuse_existing(run)
    experiment = read_experiment(cfg, data, run)
    console = Console(highlight=False, quiet=not main_process())
    console.print(_settings(cfg, origins))
    console.print(class_table(experiment.manifest, cfg.space))
    console.print()
    console.print(fold_table(experiment.manifest, experiment.folds, cfg.space))
    console.print()
    for member in experiment.kinds:
        console.print(_rates(experiment, member))
    accelerator = start(cfg.device)
    with Reporter(quiet=not main_process()) as report:
        check_experiment(experiment, report)
        check_starting_weights(experiment, wanted)
        experiment = with_photos(experiment, accelerator, report, build=False)
        experiment = with_plans(experiment, wanted, accelerator, report, remember=False)
        if accelerator.is_main_process:
            with_looks(experiment, report)
        seconds, size = 0.0, 0
        for member in experiment.kinds:
            member_seconds, member_bytes = _probe(experiment, member, accelerator)
            times, went_on = cfg.train.seeds, cfg.train.continue_epochs > 0
            rounds = -(-len(wanted) // experiment.plans[member.task].fold_jobs) + cfg.train.refit
            further = len(wanted) * cfg.train.continue_epochs / member.cfg.train.epochs
            seconds += member_seconds * times * (rounds + further)
            size += member_bytes * times * (len(wanted) * (1 + went_on) + cfg.train.refit)
    console.print(
        f"\nforecast: {len(wanted)} folds x {len(experiment.members)} network(s), about {_duration(seconds)}, "
        f"{size * STATE_COPIES / 2**20:.0f} MiB on disk, {_memory_mib(accelerator):.0f} MiB of memory"
        f"\nmeasured on {PROBE_STEPS} steps of each network on {accelerator.device}"
    )
    console.print(f"run folder: {run.path} (nothing was written)")


def _settings(cfg: Config, origins: Mapping[str, str]) -> Table:
    table = Table("setting", "value", "origin", box=None, pad_edge=False, header_style="bold")
    for key, value in config.flatten(cfg.model_dump(mode="json")).items():
        origin = origins.get(key, "default")
        table.add_row(key, json.dumps(value, ensure_ascii=False), origin, style="dim" if origin == "default" else "")
    return table


def _rates(experiment: Experiment, member: Member) -> str:
    """Draw the learning rate over all steps of a fold."""
    cfg = member.cfg
    steps_per_epoch = StepPlan(experiment.rows(member, 0), cfg).steps_per_epoch
    schedule = build_schedule(cfg, steps_per_epoch)
    rates = [lr_at(step, schedule, cfg.optim.lr) for step in range(schedule.total_steps)]
    name = f"learning rate of {member.task}" if member.task else "learning rate"
    steps = f"{cfg.train.epochs} epochs of {steps_per_epoch} steps"
    falls = f", times {cfg.schedule.gamma:g} where the score stands still" if cfg.schedule.kind == "plateau" else ""
    return f"{name}  {sparkline(rates)}  {min(rates):.1e} to {max(rates):.1e}, {steps}{falls}"


def _probe(experiment: Experiment, member: Member, accelerator: Accelerator) -> tuple[float, int]:
    """Train two tiny epochs through the real loop; returns the seconds of a whole fold and the bytes of the weights.

    The second epoch counts: the first pays for starting workers and kernels.
    """
    cfg, plan = member.cfg, experiment.plans[member.task]
    rows = experiment.rows(member, 0, bare=augments_on_device(cfg.device, view_spec(cfg), accelerator.device))
    torch.set_num_threads(plan.threads)
    images = PROBE_STEPS * cfg.train.batch_size
    few = replace(rows, train=rows.train[:images], valid=rows.valid[:images])
    changes = {"epochs": 2, "patience": None, "stages": ()}  # an epoch like the last ones, which are the most
    short = cfg.model_copy(update={"train": cfg.train.model_copy(update=changes)})
    short = short.model_copy(update={"schedule": cfg.schedule.model_copy(update={"warmup_epochs": 0.0})})
    short = short.model_copy(update={"optim": cfg.optim.model_copy(update={"freeze_epochs": 0})})
    network, _ = fresh_network(member, cfg.seed, 0)
    total_steps = short.train.epochs * StepPlan(few, short).steps_per_epoch
    session = open_session(network, short, member.space, accelerator, plan, total_steps=total_steps)
    results = [e for e in fit(session, few, short, key=(cfg.seed, member.index, 0)) if isinstance(e, EpochResult)]
    speed = results[1].images_per_second
    training = StepPlan(rows, cfg).epoch_images / speed
    validating = (results[1].seconds - StepPlan(few, short).epoch_images / speed) * len(rows.valid) / len(few.valid)
    size = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    accelerator.free_memory()
    # An image of half the sides has a quarter of the pixels.
    epochs = sum(stage_share(cfg.train.stages, epoch) ** 2 for epoch in range(cfg.train.epochs))
    return training * epochs + validating * cfg.train.epochs, size


def _memory_mib(accelerator: Accelerator) -> float:
    if accelerator.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
