"""Pretraining without labels (`maskcls pretrain`) as a starting point: does the same training score higher after it?

    python benchmarks/pretraining.py DATA --out FOLDER [--config NAME] [--seeds N] [--epochs N] [--lr X] KEY=VALUE …

Per seed, two trainings with the same settings, folds and steps: from `model.weights`, or random weights without it,
and from the trunk that was pretrained from the same weights on the train and eval photos. Printed: out-of-fold macro-F1
of both, per seed, and the difference with its 95 % interval over people and seeds. The minutes are processor time of
this process and its children, so other programs count little. Given again, what is finished in FOLDER is kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskcls.cli import run_app
from maskcls.results.comparison.over_seeds import difference_over_seeds
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.rundir import RunDir
from maskcls.runs.read_labelled import read_out_of_fold


def must(*words: str) -> float:
    """Run a command line; returns its minutes of processor time."""
    began = os.times()
    if code := run_app(list(words)):
        raise SystemExit(f"maskcls {' '.join(words)} ended with {code}")
    ended = os.times()
    return sum(b - a for a, b in zip(began[:4], ended[:4], strict=True)) / 60


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is not there yet, and print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--config", action="append", default=[], metavar="FILE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", default="4", help="of the pretraining")
    parser.add_argument("--lr", default="0.05", help="of the pretraining")
    given = parser.parse_intermixed_args(argv)
    recipe = [word for name in given.config for word in ("--config", name)]
    weights = [word for word in given.settings if word.startswith("model.weights=")]
    recipe += [word for word in given.settings if word not in weights]
    runs: dict[str, list[RunDir]] = {"plain": [], "pretrained": []}
    for seed in range(given.seeds):
        trunk = given.out / f"trunk{seed}.safetensors"
        if not trunk.exists():
            own = ["-o", str(trunk), "--epochs", given.epochs, "--lr", given.lr, f"seed={seed}"]
            print(
                f"pretraining {seed}: {must('pretrain', given.data, *recipe, *weights, *own):.1f} minutes", flush=True
            )
        for name, start in (("plain", weights), ("pretrained", [f"model.weights={trunk}"])):
            run = RunDir(given.out / f"{name}{seed}")
            if not run.summary.exists():
                own = ["--run", str(run.path), f"seed={seed}", *start]
                print(f"{name} {seed}: {must('train', given.data, *recipe, *own):.1f} minutes", flush=True)
            runs[name].append(run)
    found = {name: [read_out_of_fold(run) for run in several] for name, several in runs.items()}
    first, size = found["plain"][0], found["plain"][0].space.size
    if any(not np.array_equal(one.ids, first.ids) for several in found.values() for one in several):
        raise SystemExit("the runs have different rows")
    truth_N, people_N, labels = first.space.encode(first.truth), first.people_N, {}
    assert people_N is not None
    print("| start | macro-F1 per seed | mean |\n|---|---|---|")
    for name, several in found.items():
        labels[name] = [one.pred_N for one in several]
        scores = [macro_f1(confusion(truth_N, label_N, size)) for label_N in labels[name]]
        print(f"| {name} | {', '.join(f'{one:.4f}' for one in scores)} | {np.mean(scores):.4f} |")
    gain = difference_over_seeds(truth_N, labels["plain"], labels["pretrained"], people_N, size)
    print(f"difference {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
