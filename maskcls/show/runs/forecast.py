"""What `maskcls train --dry-run` shows: the resolved settings, the rows and folds, and the measured forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from maskcls.schema import Config
from maskcls.show.config import print_settings
from maskcls.show.data.class_counts import class_table, fold_table
from maskcls.show.terminal.progress import main_process
from maskcls.show.terminal.spark import sparkline
from maskcls.show.terminal.units import duration


@dataclass(frozen=True)
class Rates:
    """The learning rate of one network at every step of a fold. gamma: its factor where the score stands still."""

    task: str
    rates: tuple[float, ...]
    epochs: int
    gamma: float | None


@dataclass(frozen=True)
class Survey:
    """What is known before anything is computed."""

    manifest: pd.DataFrame
    folds: pd.DataFrame
    rates: tuple[Rates, ...]


@dataclass(frozen=True)
class Forecast:
    """What a training takes, measured on `steps` steps of each network on `device`."""

    folds: int
    networks: int
    seconds: float
    disk_bytes: float
    memory_bytes: float
    steps: int
    device: str
    run: Path


def print_survey(survey: Survey, cfg: Config, origins: Mapping[str, str]) -> None:
    """Print settings, class counts, folds and learning rates."""
    console = _console()
    if main_process():
        print_settings(cfg, origins)
    console.print(class_table(survey.manifest, cfg.space))
    console.print()
    console.print(fold_table(survey.manifest, survey.folds, cfg.space))
    console.print()
    for rates in survey.rates:
        console.print(_line(rates))


def print_forecast(forecast: Forecast) -> None:
    """Print how long the training takes, and what it needs."""
    console = _console()
    console.print(
        f"\nforecast: {forecast.folds} folds x {forecast.networks} network(s), about {duration(forecast.seconds)}, "
        f"{forecast.disk_bytes / 2**20:.0f} MiB on disk, {forecast.memory_bytes / 2**20:.0f} MiB of memory"
        f"\nmeasured on {forecast.steps} steps of each network on {forecast.device}"
    )
    console.print(f"run folder: {forecast.run} (nothing was written)")


def _console() -> Console:
    return Console(highlight=False, quiet=not main_process())


def _line(shown: Rates) -> str:
    """Draw the learning rate over all steps of a fold."""
    name = f"learning rate of {shown.task}" if shown.task else "learning rate"
    steps = f"{shown.epochs} epochs of {len(shown.rates) // shown.epochs} steps"
    falls = "" if shown.gamma is None else f", times {shown.gamma:g} where the score stands still"
    low, high = min(shown.rates), max(shown.rates)
    return f"{name}  {sparkline(shown.rates)}  {low:.1e} to {high:.1e}, {steps}{falls}"
