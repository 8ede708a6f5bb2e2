"""What `maskcls train --dry-run` shows: the rows and folds, and the measured forecast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from maskcls import config
from maskcls.data.rows.folds import fold_counts
from maskcls.durations import duration
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun
from maskcls.show.data.class_counts import class_counts, class_table, fold_table
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.progress import main_process
from maskcls.show.terminal.spark import sparkline
from maskcls.show.terminal.text import plural, say, show


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

    @property
    def photos(self) -> pd.DataFrame:
        """The rows without samples of generators, whose classes are those of their fold alone."""
        return self.manifest[self.manifest["source"] != "synth"]


@dataclass(frozen=True)
class Forecast:
    """What a training takes, measured on `device`.

    steps     steps of each network that were measured, or batches where heads are fitted; measured: in words.
    """

    folds: int
    networks: int
    seconds: float
    disk_bytes: float
    memory_bytes: float
    steps: int
    measured: str
    device: str
    run: Path


def print_survey(survey: Survey, cfg: Config) -> None:
    """Print class counts, folds, networks and learning rates."""
    if not main_process():
        return
    noun = group_noun(cfg)
    show(class_table(survey.photos, cfg.space, noun))
    say()
    show(fold_table(survey.manifest, survey.folds, cfg.space, noun))
    say()
    for task, member in config.members(cfg).items():
        height, width = member.transforms.size
        name = f"network of {task}" if task else "network"
        say(f"{name}  {member.model.trunk}, {height} x {width} pixels, {cfg.model.heads} heads")
    for rates in survey.rates:
        say(_line(rates))
    say()


def print_forecast(forecast: Forecast) -> None:
    """Print how long the training takes, and what it needs."""
    if not main_process():
        return
    say(
        f"\nforecast: {plural(forecast.folds, 'fold')} x {plural(forecast.networks, 'network')}, "
        f"about {duration(forecast.seconds)}, "
        f"{forecast.disk_bytes / 2**20:.0f} MiB on disk, {forecast.memory_bytes / 2**20:.0f} MiB of memory"
        f"\nmeasured on {forecast.measured} on {forecast.device}"
    )
    say(f"run folder: {forecast.run} (nothing was written)")


def print_dry_run_json(survey: Survey, forecast: Forecast, cfg: Config, origins: Mapping[str, str]) -> None:
    """Print all that a dry run shows as JSON; only the first of several processes does."""
    if not main_process():
        return
    counts = fold_counts(survey.manifest, survey.folds, cfg.space)
    whole = counts[counts["task"] == "all"][["fold", "people", "photos"]]
    folds = [{name: int(value) for name, value in row.items()} for row in whole.to_dict("records")]
    classes = [
        {"task": task, "class": name, "people": people, "photos": photos}
        for task, name, people, photos in class_counts(survey.photos, cfg.space)
    ]
    rates = [
        {"task": one.task or None, "low": min(one.rates), "high": max(one.rates), "epochs": one.epochs}
        | {"steps": len(one.rates)}
        for one in survey.rates
    ]
    needs = asdict(forecast) | {"run": str(forecast.run)}
    plan = {"run": needs.pop("run"), "classes": classes, "folds": folds, "learning_rates": rates, "forecast": needs}
    print_json(plan | {"config": cfg.model_dump(mode="json"), "origins": dict(origins)})


def _line(shown: Rates) -> str:
    """Write the ends of the learning rate, and draw it over all steps of a fold on a line of its own."""
    name = f"learning rate of {shown.task}" if shown.task else "learning rate"
    steps = f"{shown.epochs} epochs of {len(shown.rates) // shown.epochs} steps"
    falls = "" if shown.gamma is None else f", times {shown.gamma:g} where the score stands still"
    low, high = min(shown.rates), max(shown.rates)
    return f"{name}  {low:.1e} to {high:.1e}, {steps}{falls}\n  {sparkline(shown.rates)}"
