"""maskcls bench step: how fast a network can be computed on this machine, and the largest step that fits."""

from __future__ import annotations

from dataclasses import asdict

from maskcls.engine import precision
from maskcls.engine.device import start
from maskcls.schema import Config
from maskcls.show.bench import StepSpeeds, WaySpeed
from maskcls.show.progress import Reporter
from maskcls.training.experiment import Member
from maskcls.training.plans import fresh_network


def bench_step(cfg: Config, report: Reporter) -> StepSpeeds:
    """Time the ways a network can be computed here, and find the largest step that fits into memory."""
    accelerator = start(cfg.device)
    network, origin = fresh_network(Member("", 0, cfg), cfg.seed, 0)
    jobs = cfg.folds.k
    work = precision.Work(
        cfg.model.backbone, network, cfg.transforms.size, cfg.train.batch_size, images=10**9, jobs=jobs
    )
    report.note(f"{origin}; every way is timed, which takes a while")
    chosen, train, infer = precision.compare(work, cfg, accelerator.device)
    largest = precision.largest_batch(work, accelerator.device, chosen.train)
    speeds = [
        tuple(WaySpeed(str(way.execution), way.threads, speed, asdict(way)) for way, speed in found.items())
        for found in (train, infer)
    ]
    return StepSpeeds(chosen.to_json(), precision.explain(work, chosen, {}, {}), speeds[0], speeds[1], largest)
