"""maskcls bench step: how fast a network can be computed on this machine, and the largest step that fits."""

from __future__ import annotations

from dataclasses import asdict

from maskcls.engine.compute.candidates import Workload
from maskcls.engine.compute.choose import choose_thoroughly
from maskcls.engine.compute.explain import explain_choice
from maskcls.engine.compute.measure import Measurement
from maskcls.engine.compute.memory import largest_batch
from maskcls.engine.device import start
from maskcls.schema import Config
from maskcls.show.bench import CandidateSpeed, StepSpeeds
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Member
from maskcls.training.plans import fresh_network, listener_of

MANY = 10**9  # images of a training so long that any gain in speed pays


def bench_step(cfg: Config, report: Reporter) -> StepSpeeds:
    """Time the ways a network can be computed here, and find the largest step that fits into memory."""
    accelerator = start(cfg.device)
    network, origin = fresh_network(Member("", 0, cfg), cfg.seed, 0)
    work = Workload(
        network.backbone,
        network,
        cfg.transforms.size,
        cfg.train.batch_size,
        images=MANY,
        predicted=MANY,
        jobs=cfg.folds.k,
    )
    report.note(origin)
    choice = choose_thoroughly(work, cfg, accelerator.device, listener=listener_of(report))
    largest = largest_batch(work, accelerator.device, choice.plan.train)
    sentence = explain_choice(work, choice).removesuffix(" (details: maskcls bench step)")
    busy = choice.train.busy or choice.infer.busy
    return StepSpeeds(choice.plan.to_json(), sentence, _speeds(choice.train), _speeds(choice.infer), largest, busy)


def _speeds(measured: Measurement) -> tuple[CandidateSpeed, ...]:
    return tuple(
        CandidateSpeed(str(one.execution), one.threads, measured.speed(one), tuple(seconds), asdict(one))
        for one, seconds in measured.timings.items()
    )
