"""How much an image-level split flatters: the same recipe, scored on people it knows and on people it does not.

    python benchmarks/leakage.py RUN [--folds 0,1] [--out benchmarks/leakage.json]

RUN is a finished run; its person-level folds are the honest side. The other side trains the run's own configuration
again on folds that deal single photos, so that a person stands on both sides of a split. Nothing else differs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maskcls import files
from maskcls.commands.train import device_of
from maskcls.engine.device import start
from maskcls.rundir import RunDir
from maskcls.runs.environment import this_machine
from maskcls.show.progress import Reporter
from maskcls.training.experiment import Experiment, wanted_folds
from maskcls.training.folds import train_folds
from maskcls.training.stored_experiment import open_experiment, write_identity


def image_level_folds(experiment: Experiment) -> pd.DataFrame:
    """Deal single photos into as many folds as the run has, at random; a person's photos land in most of them."""
    k, rows = experiment.cfg.folds.k, len(experiment.manifest)
    fold = np.random.default_rng(experiment.cfg.folds.seed).permutation(np.arange(rows) % k)
    return experiment.folds.assign(fold=pd.array(fold, dtype="Int8"))


def image_level_summary(experiment: Experiment, folds: tuple[int, ...]) -> dict[str, Any]:
    """Train the image-level folds in a temporary run folder and return its summary."""
    with tempfile.TemporaryDirectory() as folder, Reporter() as report:
        leaky = replace(experiment, folds=image_level_folds(experiment), run=RunDir(Path(folder) / "image-level"))
        accelerator = start(experiment.cfg.device)
        write_identity(leaky, folds, this_machine(**device_of(accelerator)))
        return train_folds(leaky, folds, accelerator, report)


def row(name: str, scores: list[dict[str, float]], keys: list[str]) -> str:
    """Return a line of means and standard deviations over folds."""
    values = [[score[key] for score in scores] for key in keys]
    cells = [f"{np.mean(v):.4f} ± {np.std(v, ddof=min(1, len(v) - 1)):.4f}" for v in values]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print both sides as a table, and keep them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--folds", default=None)
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    experiment, _ = open_experiment(RunDir(arguments.run))
    folds = wanted_folds(arguments.folds, experiment.cfg.folds.k)
    honest = files.read_json(experiment.run.summary)["folds"]
    person = [honest[str(k)] for k in folds]
    image = list(image_level_summary(experiment, folds)["folds"].values())
    keys = ["macro_f1", *experiment.cfg.space.names]
    print("| split | " + " | ".join(keys) + " |\n|" + "---|" * (len(keys) + 1))
    print(row("by person", person, keys))
    print(row("by image", image, keys))
    gain = np.mean([s["macro_f1"] for s in image]) - np.mean([s["macro_f1"] for s in person])
    print(f"\nThe image-level split promises {gain:+.4f} macro-F1 that new people will not give (folds {list(folds)}).")
    if arguments.out:
        arguments.out.write_text(json.dumps({"folds": list(folds), "person": person, "image": image}, indent=1) + "\n")


if __name__ == "__main__":
    main()
