"""Adaptation to photos with a planted shift: which method works when it should, and which does harm when it should not.

    python benchmarks/shifted.py RUN [RUN…] [--shifts none,camera,jpeg,night,shares] [--json FILE]
    python benchmarks/shifted.py --drawn FOLDER [--people N] [--epochs N] [--seeds N]

RUN: finished runs of the same folds, one per seed (backbone with batch norm, for adabn). --drawn: faces are drawn into
FOLDER and a run is trained per seed. Each fold's own photos get the shift; its networks are adapted to them without
their labels. A line per shift and method: macro-F1, gain over plain predictions of the same photos averaged over the
seeds, its interval over people, and the verdict. What should be: camera and night help with adabn or coral, no shift
does no harm beyond the interval, changed class shares are for em, and not for coral or adabn.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np

from maskcls.cli import run_app
from maskcls.data.views.planted_shift import Shift
from maskcls.engine.device import start
from maskcls.results.comparison.adaptation import TriedAdaptation
from maskcls.results.comparison.difference import paired_difference
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.rundir import RunDir
from maskcls.show.terminal.progress import Reporter
from maskcls.training.checks import with_photos
from maskcls.training.predicting.adaptation_trial import adapt_out_of_fold
from maskcls.training.stored_experiment import open_with_photos

DRAWN = (
    *("model.backbone=resnet10t", "transforms.size=[64, 48]", "folds.k=2", "predict.views=none", "train.report=false"),
    *("optim.lr=2e-3", "train.batch_size=32", "device.type=cpu", "device.workers=0"),
)


def trained(folder: Path, people: int, epochs: int, seeds: int) -> list[Path]:
    """Draw faces and train a run per seed; what is there already is kept."""
    from maskcls.data.drawn.faces import make_faces

    data = folder / "faces"
    if not data.exists():
        make_faces(data, people=people, seed=0, eval_people=3, size=(64, 48))
    runs = [folder / f"run{seed}" for seed in range(seeds)]
    for seed, run in enumerate(runs):
        words = ["train", str(data), "--run", str(run), *DRAWN, f"train.epochs={epochs}", f"seed={seed}"]
        if not (run / "summary.json").exists() and run_app(words):
            raise SystemExit(f"the training of seed {seed} failed")
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--shifts", default=",".join(get_args(Shift)))
    parser.add_argument("--drawn", type=Path)
    parser.add_argument("--people", type=int, default=120)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    runs = [*given.runs, *(trained(given.drawn, given.people, given.epochs, given.seeds) if given.drawn else [])]
    if not runs:
        parser.error("name a run, or --drawn FOLDER")
    opened = []
    with Reporter() as report:
        accelerator = start(open_with_photos(RunDir(runs[0]), None)[0].cfg.device)
        for path in runs:
            experiment, env = open_with_photos(RunDir(path), None)
            opened.append((with_photos(experiment, accelerator, report, build=False), env.folds))
    first, lines = opened[0][0], []
    print(f"{len(runs)} seeds, {len(np.unique(first.people))} people, {len(first.fold)} photos")
    print(f"{'shift':8} {'adapt':6} {'macro-F1':>8} {'plain':>7} {'gain':>8}  95 % interval     verdict        seconds")
    for shift in (name for name in get_args(Shift) if name in given.shifts.split(",")):
        began = time.monotonic()
        found = [adapt_out_of_fold(one, folds, shift, [], accelerator) for one, folds in opened]
        seconds, row_N = time.monotonic() - began, found[0].row_N
        if any(not np.array_equal(row_N, one.row_N) for one in found):
            raise SystemExit("the runs have different folds")
        space = first.cfg.space
        truth_N = space.encode({name: label_N[row_N] for name, label_N in first.labels.items()})
        plain = [one.plain_N for one in found]
        base = np.mean([macro_f1(confusion(truth_N, label_N, space.size)) for label_N in plain])
        for method in found[0].label_by_method:
            labels = [one.label_by_method[method] for one in found]
            gain = paired_difference(truth_N, plain, labels, first.people[row_N], space.size)
            score = float(np.mean([macro_f1(confusion(truth_N, label_N, space.size)) for label_N in labels]))
            tried = TriedAdaptation(method, score, gain)
            between = f"[{gain.low:+.4f}, {gain.high:+.4f}]"
            print(
                f"{shift:8} {method:6} {score:8.4f} {base:7.4f} {gain.value:+8.4f}  {between:17} {tried.verdict:14}"
                f" {seconds:6.0f}",
                flush=True,
            )
            lines.append({"shift": shift, "method": method, "macro_f1": score, "plain": base, "gain": gain.value})
            lines[-1] |= {"low": gain.low, "high": gain.high, "verdict": tried.verdict, "rows": len(row_N)}
    if given.json:
        given.json.write_text(json.dumps(lines, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
