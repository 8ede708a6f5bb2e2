"""How long does `maskcls report` take, and how large is its page?

    python benchmarks/report.py [--people 800] [--photos 7] [--folds 5] [--epochs 20] [--runs 1] [--rounds 3]

Runs are written without a training: labels, probabilities and logs are drawn at random, and a third of the answers is
wrong. Measured are whole commands, from the start of the process to its end, and the page without photos.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import config, files
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.labels import CONTEST, Ints
from maskcls.results.predictions import Predictions
from maskcls.results.scores.evaluation import Evaluation, evaluate_predictions
from maskcls.rundir import RunDir
from maskcls.runs.environment import Environment, this_machine, write_environment
from maskcls.runs.identity import identity_hashes
from maskcls.runs.networks import run_networks
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.summary import RunSummary, SavedScores, scored_fold, write_fold_summary, write_summary

WRONG = 1 / 3  # share of the answers


def draw_run(path: Path, *, people: int, photos: int, folds: int, epochs: int, seed: int) -> RunDir:
    """Write a finished run of the contest's classes, its networks apart.

    Runs of other seeds have the same rows and labels, and other answers.
    """
    run, (cfg, _) = RunDir(path), config.load(None, [f"folds.k={folds}", f"train.epochs={epochs}", f"seed={seed}"])
    ids = [f"p{person}/{photo}" for person in range(people) for photo in range(photos)]
    person = [name.partition("/")[0] for name in ids]
    labels, ages = draw_labels(people, photos)
    names = [f"train/images/{name}.jpg" for name in ids]
    frame = tables.build(ids, names, CONTEST, person=person, labels=labels, values={"age": ages})
    fold_N = np.repeat(np.arange(people) % folds, photos)
    files.commit(run.config, config.to_yaml(cfg).encode())
    files.commit_json(run.labels, CONTEST.to_json())
    files.commit(run.manifest, tables.to_csv(frame))
    files.commit(run.folds, folding.to_csv(frame[["id", "person"]].assign(fold=fold_N)))
    machine = dict(this_machine("cpu", 1))
    env = Environment(data="faces", folds=tuple(range(folds)), hashes=identity_hashes(run), **machine)
    write_environment(run, env)
    prob_NJ = draw_probabilities(CONTEST.encode(labels), np.random.default_rng(seed))
    Predictions(ids, prob_NJ, CONTEST).save(run.oof)
    write_scores(run, cfg, epochs)
    return run


def draw_labels(people: int, photos: int) -> tuple[dict[str, Ints], Ints]:
    """Return the labels by task and the ages, (N,) each; gender and age are the same on all photos of a person."""
    rng = np.random.default_rng(0)
    ages = np.repeat(rng.integers(18, 75, people), photos)
    gender = np.repeat(rng.integers(0, 2, people), photos)
    mask = rng.choice(3, people * photos, p=[5 / 7, 1 / 7, 1 / 7])
    return {"mask": mask, "gender": gender, "age": CONTEST.task("age").band(ages)}, ages


def draw_probabilities(true_N: Ints, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return (N, J) rows that sum to 1, most of which are right."""
    prob_NJ = rng.dirichlet(np.full(CONTEST.size, 0.2), len(true_N))
    right = rng.random(len(true_N)) >= WRONG
    prob_NJ[right, true_N[right]] += 1
    return (prob_NJ / prob_NJ.sum(axis=1, keepdims=True)).astype(np.float32)


def write_scores(run: RunDir, cfg: Any, epochs: int) -> None:
    """Write what a training leaves of its scores: the log and summary of each network, and the run's summary."""
    found = evaluate_predictions(read_out_of_fold(run))
    for one in run_networks(cfg, sorted(found.folds)):
        folder = one.folder(run)
        files.commit(folder.log, "".join(log_line(epoch, epochs, one.fold) for epoch in range(epochs)).encode())
        files.commit(folder.done, b"0" * 64)
        write_fold_summary(folder, scored_fold(epochs - 1, (), found.folds[one.fold]))
    write_summary(run, summary_of(found))


def log_line(epoch: int, epochs: int, fold: int) -> str:
    """Return the line of one epoch as `train` writes it."""
    scores = {f"val/{name}": 0.9 - 0.5 / (epoch + 1) + 0.01 * fold for name in ("macro_f1", *CONTEST.names)}
    losses = {"train/loss": 1 / (epoch + 1), "val/loss": 1.2 / (epoch + 1)}
    line = {"epoch": epoch, "step": epoch, "is_best": True, "lr": 3e-4 * (1 - epoch / epochs), "seconds": 20.0}
    return json.dumps({**line, "images_per_second": 200.0, **losses, **scores}) + "\n"


def summary_of(found: Evaluation) -> RunSummary:
    """Return the summary of the run."""
    folds: dict[str, dict[str, float | None]] = {str(k): {"macro_f1": one.macro_f1} for k, one in found.folds.items()}
    every = [one.macro_f1 for one in found.folds.values()]
    return RunSummary(
        pooled=SavedScores.of(found.scores),
        interval=found.interval,
        prediction_interval=found.prediction,
        folds=folds,
        mean={"macro_f1": float(np.mean(every))},
        sd={"macro_f1": float(np.std(every, ddof=len(every) > 1))},
    )


def measure(runs: Sequence[RunDir], page: Path, rounds: int) -> dict[str, Any]:
    """Write the page several times; return the seconds of each command, its CPU seconds, and the page's bytes."""
    words = [sys.executable, "-m", "maskcls", "report", *(str(run.path) for run in runs), "-o", str(page), "--force"]
    seconds, cpu_seconds = [], []
    for _ in range(rounds):
        before, started = os.times(), time.monotonic()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        seconds.append(time.monotonic() - started)
        cpu_seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "bytes": page.stat().st_size}


def main() -> None:
    """Draw the runs, write the page, and print its time and size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("people", 800), ("photos", 7), ("folds", 5), ("epochs", 20), ("runs", 1), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="file to write with all figures")
    given = parser.parse_args()
    shape = {name: getattr(given, name) for name in ("people", "photos", "folds", "epochs")}
    with tempfile.TemporaryDirectory() as folder:
        runs = [draw_run(Path(folder) / f"run{seed}", **shape, seed=seed) for seed in range(given.runs)]
        found = measure(runs, Path(folder) / "page.html", given.rounds)
    best, cpu = min(found["seconds"]), min(found["cpu_seconds"])
    what = f"{given.runs} x {given.folds} folds x {given.people * given.photos:,} rows"
    print(f"{what}: {best:.1f} s ({cpu:.1f} s of a processor), {found['bytes'] / 1e6:.2f} MB")
    if given.json:
        given.json.write_text(json.dumps({**shape, "runs": given.runs, **found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
