"""How the networks of a run are computed on this machine: chosen before training, saved with the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from maskcls.engine.compute.candidates import Workload
from maskcls.engine.compute.choose import Listener, choose
from maskcls.engine.compute.explain import explain_choice
from maskcls.engine.compute.plan import Plan
from maskcls.engine.device import Accelerator
from maskcls.engine.fit import stream_seed
from maskcls.engine.objective import build_heads
from maskcls.engine.processes import decided_by_first
from maskcls.nn.network import Network, build_network, load_trunk
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment, Member
from maskcls.viewnames import parse_views

NOTE_EVERY_S = 5.0


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

    def decide() -> dict[str, Plan]:
        plans = {}
        for member in experiment.kinds:
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
            why = explain_choice(work, choice)
            report.note(f"{member.task}: {why}" if member.task else why)
        return plans

    return replace(experiment, plans=decided_by_first(decide, accelerator))


def listener_of(report: Reporter) -> Listener:
    """Return a listener that reports a choice: lines, and a bar in a terminal or a line every few seconds elsewhere."""
    shown = time.monotonic()

    def progress(what: str, done: int, of: int) -> None:
        nonlocal shown
        report.images(what, done, of)
        if report.bars is None and done < of and time.monotonic() - shown > NOTE_EVERY_S:
            shown = time.monotonic()
            report.note(f"{what}: {done} of at most {of} passes")

    return Listener(report.note, progress)


def workload_of(experiment: Experiment, member: Member, wanted: Sequence[int]) -> Workload:
    """Return how much there is to compute for one network on these folds."""
    cfg, fold = member.cfg, experiment.fold
    network, _ = fresh_network(member, 0, 0)
    trained, validated = (
        sum(int(chosen.sum()) for chosen in rows) // len(wanted)
        for rows in ([fold != k for k in wanted], [fold == k for k in wanted])
    )
    return Workload(
        cfg.model.backbone,
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
        model.backbone,
        build_heads(member.cfg),
        size=member.cfg.transforms.size,
        pretrained=model.pretrained,
        drop=model.drop,
        drop_path=model.drop_path,
        samples=model.drop_samples,
        balanced=member.cfg.balance.learned,
    )
    if model.weights:
        return network, f"{model.backbone}, {load_trunk(network, Path(model.weights))}"
    return network, f"{model.backbone}, {'hub' if model.pretrained else 'random'} weights"
