"""How much an image-level split overestimates the score: the same recipe, scored on known and on new people.

    python benchmarks/leakage.py RUN [--folds 0,1] [--out benchmarks/leakage.json]

RUN is a finished run with person-level folds. For comparison, its configuration is trained again on image-level folds,
where photos of one person are in training and in validation. Nothing else differs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from maskcls.engine.device import start
from maskcls.errors import shell_word
from maskcls.rundir import RunDir
from maskcls.runs.checks import wanted_folds
from maskcls.runs.environment import this_machine
from maskcls.runs.summary import RunSummary, read_summary
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment
from maskcls.training.folds import train_folds
from maskcls.training.stored_experiment import open_experiment, write_identity

FoldScores = dict[str, float | None]


def image_level_folds(experiment: Experiment) -> pd.DataFrame:
    """Return the run's fold table with photos assigned to folds at random, independent of their person."""
    k, rows = experiment.cfg.folds.k, len(experiment.manifest)
    fold = np.random.default_rng(experiment.cfg.folds.seed).permutation(np.arange(rows) % k)
    return experiment.folds.assign(fold=pd.array(fold, dtype="Int8"))


def image_level_summary(experiment: Experiment, folds: tuple[int, ...]) -> RunSummary:
    """Train the image-level folds in a temporary run folder and return its summary."""
    with tempfile.TemporaryDirectory() as folder, Reporter() as report:
        leaky = replace(experiment, folds=image_level_folds(experiment), run=RunDir(Path(folder) / "image-level"))
        accelerator = start(experiment.cfg.device)
        write_identity(leaky, folds, this_machine(accelerator.device, accelerator.num_processes))
        summary = train_folds(leaky, folds, accelerator, report)
    assert summary is not None, "the comparison runs in one process"
    return summary


def row(name: str, scores: list[FoldScores], keys: list[str]) -> str:
    """Return a table row of means and standard deviations over folds."""
    values = [[as_number(score[key]) for score in scores] for key in keys]
    cells = [f"{np.mean(v):.4f} ± {np.std(v, ddof=min(1, len(v) - 1)):.4f}" for v in values]
    return f"| {name} | " + " | ".join(cells) + " |"


def as_number(score: float | None) -> float:
    """Return a score; NaN where no row was scored."""
    return float("nan") if score is None else score


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--folds", default=None)
    parser.add_argument("--out", type=Path, default=None)
    return parser


def main() -> None:
    """Print the scores of both splits as a table, and write them as JSON."""
    arguments = argument_parser().parse_args()
    experiment, _ = open_experiment(RunDir(arguments.run))
    folds = wanted_folds(arguments.folds, experiment.cfg.folds.k)
    summary = read_summary(experiment.run)
    if summary is None or not set(folds) <= set(summary.fold_numbers):
        raise SystemExit(f"{arguments.run} is not finished; maskcls resume {shell_word(arguments.run)}")
    person = [summary.folds[str(k)] for k in folds]
    image = list(image_level_summary(experiment, folds).folds.values())
    keys = ["macro_f1", *experiment.cfg.space.names]
    print("| split | " + " | ".join(keys) + " |\n|" + "---|" * (len(keys) + 1))
    print(row("by person", person, keys))
    print(row("by image", image, keys))
    by_image, by_person = (np.mean([as_number(one["macro_f1"]) for one in scores]) for scores in (image, person))
    gain = by_image - by_person
    print(f"\nThe image-level split overestimates macro-F1 on new people by {gain:+.4f} (folds {list(folds)}).")
    if arguments.out:
        arguments.out.write_text(json.dumps({"folds": list(folds), "person": person, "image": image}, indent=1) + "\n")


if __name__ == "__main__":
    main()
