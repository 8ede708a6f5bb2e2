"""maskcls bench step: how fast a network can be computed on this machine, and the largest step that fits."""

from __future__ import annotations

import json as text
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from maskcls.engine import precision
from maskcls.engine.device import start
from maskcls.schema import Config
from maskcls.show.progress import Reporter, say
from maskcls.training.experiment import Member
from maskcls.training.plans import fresh_network


def bench_step(cfg: Config, *, json: bool) -> None:
    """Time the ways a network can be computed here, and find the largest step that fits into memory."""
    accelerator = start(cfg.device)
    network, origin = fresh_network(Member("", 0, cfg), cfg.seed, 0)
    jobs = cfg.folds.k
    work = precision.Work(
        cfg.model.backbone, network, cfg.transforms.size, cfg.train.batch_size, images=10**9, jobs=jobs
    )
    with Reporter() as report:
        report.note(f"{origin}; every way is timed, which takes a while")
        chosen, train, infer = precision.compare(work, cfg, accelerator.device)
    largest = precision.largest_batch(work, accelerator.device, chosen.train)
    if json:
        told = {"plan": chosen.to_json(), "largest_batch": largest}
        told |= {
            name: [asdict(way) | {"images_per_second": speed} for way, speed in speeds.items()]
            for name, speeds in (("train", train), ("infer", infer))
        }
        say(text.dumps(told, allow_nan=False))
        return
    table = Table("network computed in", box=None, pad_edge=False, header_style="bold")
    for name in ("threads", "training, img/s", "prediction, img/s"):
        table.add_column(name, justify="right")
    for way in sorted({*train, *infer}, key=lambda way: -train.get(way, 0.0)):
        speeds = [f"{found[way]:.0f}" if way in found else "-" for found in (train, infer)]
        table.add_row(str(way.execution), str(way.threads), *speeds)
    Console(highlight=False).print(table)
    say(precision.explain(work, chosen, {}, {}))
    say(f"largest step that fits into memory: {largest} images")
