"""The samplers of `maskcls tune` at an equal number of trials: on a function of the settings with noise, and on photos.

    python benchmarks/tune.py                                      20 seeds on a function, in memory
    python benchmarks/tune.py --data FACES --config multi --trials 10 --seeds 2 KEY=VALUE ...    real searches

The function has four settings: a learning rate with a narrow optimum, the strength of an augmentation, a loss with
three kinds, and a setting without effect. A trial measures it with noise of sd 0.01, as a score on about 800 people;
what counts is the value without noise of the trial that a search chooses.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, get_args

import optuna

from maskcls.tuning.facts import SamplerName
from maskcls.tuning.samplers import best_of_stage, grid_points, params_of, sampler_for, stage_starts, suggest
from maskcls.tuning.space.narrow import narrowed
from maskcls.tuning.space.space import Values
from maskcls.tuning.space.space_file import parse_space
from maskcls.tuning.storage import quiet_optuna

SPACE = parse_space(
    {
        "optim.lr": {"low": 1e-5, "high": 1.0, "log": True},
        "transforms.colour": {"low": 0.0, "high": 1.0},
        "loss.all": ["ce", "smooth(epsilon=0.1)", "focal(gamma=2)"],
        "optim.weight_decay": {"low": 0.001, "high": 0.3, "log": True},
    },
    where="the function",
)
NOISE = 0.01
LOSSES = {"ce": 0.0, "smooth(epsilon=0.1)": 0.01, "focal(gamma=2)": 0.02}


def value(values: Values) -> float:
    """Return the score without noise: 0.5 at the optimum, lr 3e-3 and colour 0.3 with focal loss."""
    lr = math.log10(values["optim.lr"] / 3e-3)
    return 0.48 - 0.05 * lr**2 - 0.1 * (values["transforms.colour"] - 0.3) ** 2 + LOSSES[values["loss.all"]]


def searched(sampler: SamplerName, trials: int, seed: int) -> float:
    """Return the value without noise of the trial that a search chooses."""
    noise = random.Random(seed)
    study, stages, space = optuna.create_study(direction="maximize"), stage_starts(trials), SPACE
    points = grid_points(SPACE, seed, None) if sampler == "grid" else []
    found: list[tuple[float, Values]] = []
    for number in range(trials):
        if sampler == "zoom" and number in stages:
            inside = [(score, kept) for score, one in found if (kept := space.inside(one)) is not None]
            space = narrowed(space, best_of_stage(inside))
        if points:
            study.enqueue_trial(params_of(SPACE, points[number % len(points)]))
        study.sampler = sampler_for(sampler, seed, number)
        trial = study.ask()
        values = suggest(trial, space)
        score = value(values) + noise.gauss(0.0, NOISE)
        study.tell(trial, score)
        found.append((score, values))
    return value(max(found, key=lambda one: one[0])[1])


def on_function(trials: int, seeds: int) -> None:
    """Print the mean of the chosen values by sampler, and the difference to random search, seed by seed."""
    with quiet_optuna():
        table = {name: [searched(name, trials, seed) for seed in range(seeds)] for name in get_args(SamplerName)}
    print(f"{trials} trials, {seeds} seeds; the optimum is 0.5000; value without noise of the chosen trial")
    for name, values in table.items():
        gains = [one - other for one, other in zip(values, table["random"], strict=True)]
        better = sum(gain > 0 for gain in gains)
        error = statistics.stdev(gains) / math.sqrt(seeds) if seeds > 1 else math.nan
        mean = statistics.mean(values)
        print(
            f"{name:7s} {mean:.4f} (worst {min(values):.4f}); to random {statistics.mean(gains):+.4f}, "
            f"standard error {error:.4f}, better in {better} of {seeds}"
        )


def on_data(args: argparse.Namespace) -> None:
    """Search on photos with each sampler and seed, and print the scores of the best trials."""
    with tempfile.TemporaryDirectory() as home:
        for seed in range(args.seeds):
            for sampler in args.samplers:
                folder = Path(home) / f"{sampler}{seed}" / "study"
                words = [sys.executable, "-m", "maskcls", "tune", str(args.data), "--config", args.config, "--json"]
                words += ["--space", args.space, "--trials", str(args.trials), "--sampler", sampler]
                words += ["--seed", str(seed), "--study", str(folder), "--keep", "1", *args.settings]
                done = subprocess.run(words, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(done.stderr)
                found: dict[str, Any] = json.loads(done.stdout)
                score = found["score"]
                print(
                    f"{sampler:7s} seed {seed}: corrected {score['macro_f1']:.4f} "
                    f"[{score['interval']['low']:.4f}, {score['interval']['high']:.4f}], "
                    f"rows of the search {score['naive']:.4f}; {found['trials']}",
                    flush=True,
                )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--config", default="multi")
    parser.add_argument("--space", default="quick")
    parser.add_argument("--samplers", nargs="+", default=["tpe", "random"])
    parser.add_argument("settings", nargs="*")
    args = parser.parse_args()
    if args.data is None:
        on_function(args.trials, args.seeds)
    else:
        on_data(args)


if __name__ == "__main__":
    main()
