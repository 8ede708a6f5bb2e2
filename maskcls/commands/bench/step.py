"""maskcls bench step: how fast a network can be computed on this machine, and the largest step that fits."""

from __future__ import annotations

import json as text
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from maskcls.engine.compute.candidates import Workload
from maskcls.engine.compute.choose import Choice, choose_thoroughly
from maskcls.engine.compute.explain import explain
from maskcls.engine.compute.memory import largest_batch
from maskcls.engine.device import start
from maskcls.schema import Config
from maskcls.show.progress import Reporter, say
from maskcls.training.experiment import Member
from maskcls.training.plans import fresh_network, listener_of

MANY = 10**9  # images of a training so long that any gain in speed pays


def bench_step(cfg: Config, *, json: bool) -> None:
    """Time the ways a network can be computed here, and find the largest step that fits into memory."""
    accelerator = start(cfg.device)
    network, origin = fresh_network(Member("", 0, cfg), cfg.seed, 0)
    work = Workload(
        cfg.model.backbone,
        network,
        cfg.transforms.size,
        cfg.train.batch_size,
        images=MANY,
        predicted=MANY,
        jobs=cfg.folds.k,
    )
    with Reporter() as report:
        report.note(origin)
        choice = choose_thoroughly(work, cfg, accelerator.device, listener=listener_of(report))
    largest = largest_batch(work, accelerator.device, choice.plan.train)
    if json:
        say(text.dumps(_to_json(choice, largest), allow_nan=False))
        return
    Console(highlight=False).print(_table(choice))
    say(explain(work, choice).removesuffix(" (details: maskcls bench step)"))
    say(f"largest step that fits into memory: {largest} images")


def _to_json(choice: Choice, largest: int) -> dict[str, object]:
    """Return the plan, the largest batch, and the median speed and all rounds of every candidate."""
    found: dict[str, object] = {"plan": choice.plan.to_json(), "largest_batch": largest}
    for name, measured in (("train", choice.train), ("infer", choice.infer)):
        found[name] = [
            asdict(candidate) | {"images_per_second": measured.speed(candidate), "seconds": list(rounds)}
            for candidate, rounds in measured.timings.items()
        ]
    return found | {"busy": choice.train.busy or choice.infer.busy}


def _table(choice: Choice) -> Table:
    table = Table("network computed in", box=None, pad_edge=False, header_style="bold")
    for name in ("threads", "training, img/s", "prediction, img/s"):
        table.add_column(name, justify="right")
    train, infer = choice.train.timings, choice.infer.timings
    order = sorted({*train, *infer}, key=lambda one: -choice.train.speed(one) if one in train else 0.0)
    for candidate in order:
        speeds = [
            f"{measured.speed(candidate):.0f}" if candidate in measured.timings else "-"
            for measured in (choice.train, choice.infer)
        ]
        table.add_row(str(candidate.execution), str(candidate.threads), *speeds)
    return table
