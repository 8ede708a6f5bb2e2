"""What a training would take: its rows, folds and learning rates, and a forecast measured on a few real steps."""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from maskcls.engine.device import Accelerator, augments_on_device, start
from maskcls.engine.fit import EpochResult, build_schedule, fit
from maskcls.engine.session import open_session
from maskcls.engine.step import stage_share
from maskcls.engine.step_plan import StepPlan
from maskcls.nn.network import Network
from maskcls.nn.schedule import lr_at
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_training, refuse_existing, wanted_folds
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.show.training.forecast import Forecast, Rates, Survey
from maskcls.training.checks import check_experiment, check_same_photos, with_photos
from maskcls.training.experiment import Experiment, Member, read_experiment, view_spec
from maskcls.training.heads.baseline import baseline_networks, too_large_baseline, without_baseline
from maskcls.training.heads.frozen_features import pass_features
from maskcls.training.person_clustering import with_person_clustering
from maskcls.training.plans import fresh_network, with_plans
from maskcls.training.starting_weights import check_starting_weights
from maskcls.viewnames import parse_views

PROBE_STEPS = 4
OF_FEATURES = "batches of photos (the fitting of heads is not counted)"
OF_STEPS = "steps of each network"
OF_BASELINE = f"{OF_STEPS}, and as many batches of photos for train.baseline (the fitting of heads is not counted)"
FITTED_COPIES = 2  # best and last
STATE_COPIES = 6  # best, last, and the resume state's weights, average and two moments


def planned(data: Path, cfg: Config, run: RunDir, folds: str | None) -> Experiment:
    """Read what `train` would train; raises what `train` would raise before it computes anything."""
    check_training(data, cfg, folds)
    refuse_existing(run, data)
    return read_experiment(cfg, data, run)


def survey(experiment: Experiment) -> Survey:
    """Return the rows, the folds and every network's learning rates; fitted heads have none."""
    steps = experiment.cfg.model.train == "all"
    rates = tuple(_rates(experiment, one) for one in experiment.kinds) if steps else ()
    return Survey(experiment.manifest, experiment.folds, rates)


def forecast(experiment: Experiment, folds: str | None, report: Reporter) -> Forecast:
    """Measure a few real steps of each network, or the features of a few photos; nothing is written.

    Raises what `train` would raise before its first epoch.
    """
    cfg, wanted = experiment.cfg, wanted_folds(folds, experiment.cfg.folds.k)
    accelerator = start(cfg.device)
    check_experiment(experiment, report)
    check_starting_weights(experiment, wanted)
    experiment = with_photos(experiment, accelerator, report, build=False)
    if accelerator.is_main_process:
        check_same_photos(experiment, report)
    experiment = with_plans(experiment, wanted, accelerator, report, remember=False)
    if accelerator.is_main_process:
        with_person_clustering(experiment, report)
    seconds, size, fitted = 0.0, 0, cfg.model.train == "heads"
    baseline = not (without_baseline(experiment, accelerator) or too_large_baseline(experiment))
    if baseline:
        seconds += sum(feature_seconds(experiment, plain, accelerator)[0] for plain in baseline_networks(experiment))
    for member in experiment.kinds:
        if fitted:
            member_seconds, member_bytes = feature_seconds(experiment, member, accelerator)
            seconds += member_seconds
            size += member_bytes * (len(wanted) + cfg.train.refit) * FITTED_COPIES
            continue
        member_seconds, member_bytes = fold_seconds(experiment, member, accelerator)
        times, went_on = cfg.train.seeds, cfg.train.continue_epochs > 0
        rounds = -(-len(wanted) // experiment.plans[member.task].fold_jobs) + cfg.train.refit
        further = len(wanted) * cfg.train.continue_epochs / member.cfg.train.epochs
        seconds += member_seconds * times * (rounds + further)
        size += member_bytes * times * (len(wanted) * (1 + went_on) + cfg.train.refit) * STATE_COPIES
        kept_at_once = times if len(wanted) < cfg.folds.k else 1  # without all folds; else of one seed after the other
        size += member_bytes * len(wanted) * candidates_kept(member.cfg) * kept_at_once
    return Forecast(
        folds=len(wanted),
        networks=len(experiment.members),
        seconds=seconds,
        disk_bytes=size,
        memory_bytes=_memory_bytes(accelerator),
        steps=PROBE_STEPS,
        measured=f"{PROBE_STEPS} {OF_FEATURES if fitted else OF_BASELINE if baseline else OF_STEPS}",
        device=str(accelerator.device),
        run=experiment.run.path,
    )


def candidates_kept(cfg: Config) -> int:
    """Return of how many epochs a fold keeps the weights until one is chosen."""
    return 0 if cfg.train.select == "last" else min(cfg.train.keep_epochs, cfg.train.epochs)


def _rates(experiment: Experiment, member: Member) -> Rates:
    cfg = member.cfg
    schedule = build_schedule(cfg, StepPlan(experiment.rows(member, 0), cfg).steps_per_epoch)
    rates = tuple(lr_at(step, schedule, cfg.optim.lr) for step in range(schedule.total_steps))
    gamma = cfg.schedule.gamma if cfg.schedule.kind == "plateau" else None
    return Rates(member.task, rates, cfg.train.epochs, gamma)


def fold_seconds(experiment: Experiment, member: Member, accelerator: Accelerator) -> tuple[float, int]:
    """Train two short epochs through the real loop; returns the seconds of a whole fold and the bytes of the weights.

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
    size = _state_bytes(network)
    accelerator.free_memory()
    # An image of half the sides has a quarter of the pixels.
    epochs = sum(stage_share(cfg.train.stages, epoch) ** 2 for epoch in range(cfg.train.epochs))
    return training * epochs + validating * cfg.train.epochs, size


def feature_seconds(experiment: Experiment, member: Member, accelerator: Accelerator) -> tuple[float, int]:
    """Compute the features of some photos, twice; returns the seconds for all photos in all views, and the bytes.

    The second time counts: the first pays for starting workers and kernels.
    """
    cfg, plan = member.cfg, experiment.plans[member.task]
    torch.set_num_threads(plan.threads)
    row_N = np.arange(min(PROBE_STEPS * cfg.predict.batch_size, len(experiment.manifest)))
    network, _ = fresh_network(member, cfg.seed, 0)
    for _ in range(2):
        began_s = time.monotonic()
        pass_features(experiment, member, network, accelerator, row_N, cfg.predict.views, epoch=-1)
        passed_s = time.monotonic() - began_s
    views = len(parse_views(cfg.predict.views))
    whole_s = passed_s * len(experiment.manifest) / len(row_N) * (views + cfg.heads.augmented) / views
    return whole_s, _state_bytes(network)


def _state_bytes(network: Network) -> int:
    return sum(t.numel() * t.element_size() for t in network.state_dict().values())


def _memory_bytes(accelerator: Accelerator) -> float:
    """Return the peak of memory so far: of the GPU if there is one, or of this process."""
    if accelerator.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
