"""Measure this machine: photos, networks, rates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from maskcls.verbs.options import Config, Json, Overrides

app = typer.Typer(no_args_is_help=True, help="Measure this machine: photos and networks.")


@app.command("data")
def bench_data(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Time reading, decoding and every step of augmentation on your photos.

    \b
    maskcls bench data faces --config multi
    """
    from maskcls import config as configuration
    from maskcls.commands.bench.data import bench_data as work

    cfg, _ = configuration.load(config, overrides or [])
    work(data, cfg, json=json)


@app.command("step")
def bench_step(
    overrides: Overrides = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Time a network in every number and memory format, and find the largest step that fits into memory.

    \b
    maskcls bench step --config multi
    maskcls bench step model.backbone=resnet18 train.batch_size=128
    """
    from maskcls import config as configuration
    from maskcls.commands.bench.step import bench_step as work

    cfg, _ = configuration.load(config, overrides or [])
    work(cfg, json=json)


@app.command("lr")
def bench_lr(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="data root with train/, or a CSV table")],
    overrides: Overrides = None,
    config: Config = None,
    low: Annotated[float, typer.Option(help="the rate of the first step")] = 1e-6,
    high: Annotated[float, typer.Option(help="the rate of the last step")] = 1.0,
    steps: Annotated[int, typer.Option(help="steps to train")] = 100,
    json: Json = False,
) -> None:
    """Train a few steps at rising learning rates, and say where the loss falls fastest.

    \b
    maskcls bench lr faces --config multi
    maskcls bench lr faces --config multi optim.name=sgd --high 10
    """
    from maskcls import config as configuration
    from maskcls.commands.bench.lr import lr_range
    from maskcls.show.progress import Reporter

    cfg, _ = configuration.load(config, overrides or [])
    with Reporter() as report:
        lr_range(data, cfg, low=low, high=high, steps=steps, json=json, report=report)
