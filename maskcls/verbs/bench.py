"""Measure this machine: photos, networks, learning rates."""

from __future__ import annotations

from typing import Annotated

import typer

from maskcls.show.terminal.waiting import waiting
from maskcls.verbs.help import VerbApp
from maskcls.verbs.options import Config, Data, Json, Overrides, load_config, load_config_for

app = VerbApp(no_args_is_help=True, help="Measure this machine: photos, networks, learning rates.")


@app.command("data")
def bench_data(data: Data, overrides: Overrides = None, config: Config = None, json: Json = False) -> None:
    """Time reading, decoding and every step of augmentation on your photos.

    \b
    maskcls bench data faces --config multi
    """
    cfg, _ = load_config_for(data, config, overrides)
    from maskcls.runs.checks import check_training

    check_training(data, cfg, None)
    with waiting("timing photos"):
        from maskcls.commands.bench.data import bench_data as work
        from maskcls.show.bench import print_reading_costs

        found = work(data, cfg)
    print_reading_costs(found, json=json)


@app.command("step")
def bench_step(overrides: Overrides = None, config: Config = None, json: Json = False) -> None:
    """Time a network in every number and memory format, and find the largest step that fits into memory.

    \b
    maskcls bench step --config multi
    maskcls bench step model.backbone=resnet18 train.batch_size=128
    """
    cfg, _ = load_config(config, overrides)
    from maskcls.show.bench import print_step_speeds
    from maskcls.show.terminal.progress import LOADING, Reporter

    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.bench.step import bench_step as work
        found = work(cfg, report)
    print_step_speeds(found, json=json)


@app.command("lr")
def bench_lr(
    data: Data,
    overrides: Overrides = None,
    config: Config = None,
    low: Annotated[float, typer.Option(help="learning rate of the first step")] = 1e-6,
    high: Annotated[float, typer.Option(help="learning rate of the last step")] = 1.0,
    steps: Annotated[int, typer.Option(help="steps to train")] = 100,
    json: Json = False,
) -> None:
    """Train a few steps at rising learning rates, and print where the loss falls fastest.

    \b
    maskcls bench lr faces --config multi
    maskcls bench lr faces --config multi optim.name=sgd --high 10
    """
    cfg, _ = load_config_for(data, config, overrides)
    from maskcls.runs.checks import check_training

    check_training(data, cfg, None)
    from maskcls.show.bench import print_lr_range
    from maskcls.show.terminal.progress import LOADING, Reporter

    with Reporter() as report:
        with report.busy(LOADING):
            from maskcls.commands.bench.lr import lr_range
        found = lr_range(data, cfg, low=low, high=high, steps=steps, report=report)
    print_lr_range(found, json=json)
