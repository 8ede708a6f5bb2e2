"""How the networks of a run are computed on this machine: chosen before training, saved with the run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from maskcls.engine.compute.candidates import Workload
from maskcls.engine.compute.choose import Choice, Listener, choose, infer_execution
from maskcls.engine.compute.explain import explain_choice
from maskcls.engine.compute.plan import Plan
from maskcls.engine.device import Accelerator
from maskcls.engine.fit import stream_seed
from maskcls.engine.objective import build_heads
from maskcls.engine.processes.deciding import decided_by_first
from maskcls.nn.network import Network, build_network, load_trunk
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment, Member
from maskcls.viewnames import parse_views


def with_plans(
    experiment: Experiment,
    wanted: Sequence[int],
    accelerator: Accelerator,
    report: Reporter,
    *,
    remember: bool = True,
) -> Experiment:
    """Return the experiment with a plan per task, and report what was chosen; the first process chooses for all.

    remember  False: keep no measurement for the next start.
    """

    def decide() -> tuple[dict[str, Plan], float | None]:
        plans, expected_s = {}, 0.0
        for member in experiment.kinds:
            if member.cfg.model.train == "heads":
                plans[member.task] = _plan_of_heads(experiment, member, accelerator, report)
                expected_s = math.nan
                continue
            work = workload_of(experiment, member, wanted)
            choice = choose(
                work,
                member.cfg,
                accelerator.device,
                processes=accelerator.num_processes,
                listener=listener_of(report),
                remember=remember,
            )
            plans[member.task] = choice.plan
            expected_s += (
                len(experiment.seeds) * measured_fold_seconds(work, choice) * len(wanted) / choice.plan.fold_jobs
            )
            why = explain_choice(work, choice)
            report.note(f"{member.task}: {why}" if member.task else why)
        return plans, expected_s if math.isfinite(expected_s) else None

    plans, expected_s = decided_by_first(decide, accelerator)
    return replace(experiment, plans=plans, expected_s=expected_s)


def _plan_of_heads(experiment: Experiment, member: Member, accelerator: Accelerator, report: Reporter) -> Plan:
    """Return the plan of a network whose heads are fitted: one pass over all photos, and no training step."""
    cfg, device = member.cfg, accelerator.device
    network, _ = fresh_network(member, 0, 0)
    images = len(experiment.manifest) * len(parse_views(cfg.predict.views))
    work = Workload(
        network.backbone, network, cfg.transforms.size, cfg.predict.batch_size, images=0, predicted=images, jobs=1
    )
    execution = infer_execution(work, cfg, device, listener=listener_of(report))
    threads = torch.get_num_threads() if cfg.device.threads == "auto" else cfg.device.threads
    return Plan(infer=execution, threads=threads)


def measured_fold_seconds(work: Workload, choice: Choice) -> float:
    """Return how long one fold takes at the measured speeds; NaN where training was not measured.

    Validation counts where its speed was measured: it is short.
    """
    training, predicting = (part.speed(part.best) for part in (choice.train, choice.infer))
    if not math.isfinite(training):
        return math.nan
    return work.images / training + work.predicted / predicting  # infinity: not measured, counts as nothing


def listener_of(report: Reporter) -> Listener:
    """Return a listener that reports a choice: lines, and progress over the passes, which are at most so many."""
    return Listener(report.note, report.images)


def workload_of(experiment: Experiment, member: Member, wanted: Sequence[int]) -> Workload:
    """Return how much there is to compute for one network on these folds."""
    cfg, fold = member.cfg, experiment.fold
    network, _ = fresh_network(member, 0, 0)
    trained, validated = (
        sum(int(chosen.sum()) for chosen in rows) // len(wanted)
        for rows in ([fold != k for k in wanted], [fold == k for k in wanted])
    )
    return Workload(
        network.backbone,
        network,
        cfg.transforms.size,
        cfg.train.batch_size,
        images=round(trained * cfg.train.epochs * cfg.sampler.epoch_fraction),
        predicted=validated * cfg.train.epochs * len(parse_views(cfg.predict.views)),
        jobs=len(wanted),
    )


def fresh_network(member: Member, seed: int, k: int) -> tuple[Network, str]:
    """Build the member's network for fold k from its own seed; returns it and the origin of its weights as a line."""
    torch.manual_seed(stream_seed(seed, member.index, k))
    model = member.cfg.model
    network = build_network(
        model.trunk,
        build_heads(member.cfg),
        size=member.cfg.transforms.size,
        pretrained=model.pretrained,
        drop=model.drop,
        drop_path=model.drop_path,
        samples=model.drop_samples,
        balanced=member.cfg.balance.learned,
    )
    if model.weights:
        return network, f"{model.trunk}, {load_trunk(network, Path(model.weights))}"
    return network, f"{model.trunk}, {'hub' if model.pretrained else 'random'} weights"
