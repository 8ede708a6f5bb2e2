"""How the networks of a run are computed here: decided before training, saved with the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from maskcls.engine import precision
from maskcls.engine.device import Accelerator
from maskcls.engine.execution import Plan
from maskcls.engine.fit import stream_seed
from maskcls.engine.objective import build_heads
from maskcls.engine.processes import decided_by_first
from maskcls.nn.network import Network, build_network, load_trunk
from maskcls.show.progress import Reporter
from maskcls.training.experiment import Experiment, Member


def with_plans(
    experiment: Experiment,
    wanted: Sequence[int],
    accelerator: Accelerator,
    report: Reporter,
    *,
    remember: bool = True,
) -> Experiment:
    """Return the experiment with a plan for every task, and say what was chosen; the first process decides for all.

    remember  False: write nothing down.
    """

    def decide() -> dict[str, Plan]:
        plans = {}
        for member in experiment.kinds:
            plans[member.task], why = precision.plan(
                _work(experiment, member, wanted),
                member.cfg,
                accelerator.device,
                processes=accelerator.num_processes,
                remember=remember,
            )
            report.note(f"{member.task}: {why}" if member.task else why)
        return plans

    return replace(experiment, plans=decided_by_first(decide, accelerator))


def _work(experiment: Experiment, member: Member, wanted: Sequence[int]) -> precision.Work:
    cfg = member.cfg
    network, _ = fresh_network(member, 0, 0)
    share = cfg.train.epochs * cfg.sampler.epoch_fraction
    trained = sum(int((experiment.fold != k).sum()) for k in wanted) // len(wanted)
    return precision.Work(
        cfg.model.backbone, network, cfg.transforms.size, cfg.train.batch_size, round(trained * share), len(wanted)
    )


def fresh_network(member: Member, seed: int, k: int) -> tuple[Network, str]:
    """Build the member's network for fold k from its own seed; returns it and a line on where its weights are from."""
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
