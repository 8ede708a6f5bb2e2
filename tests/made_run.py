"""A finished run's folder without a training: drawn faces, made-up probabilities, and files that stand for weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskcls import config, files
from maskcls.data.layouts import contest
from maskcls.data.rows import folds
from maskcls.data.rows import manifest as tables
from maskcls.labels import CONTEST
from maskcls.results.predictions import Predictions
from maskcls.rundir import RunDir
from maskcls.runs.environment import Environment, this_machine, write_environment
from maskcls.runs.identity import identity_hashes


def predictions_for(rows: int, seed: int = 0) -> Predictions:
    """Return random predictions for rows named `0.jpg` and on."""
    prob_NJ = np.random.default_rng(seed).dirichlet(np.full(18, 0.2), rows).astype(np.float32)
    return Predictions([f"{i}.jpg" for i in range(rows)], prob_NJ, CONTEST)


def answers_csv(path: Path, rows: int) -> Path:
    """Write random answers to the same rows, in another order."""
    labels = np.random.default_rng(1).integers(18, size=rows)
    order = np.random.default_rng(2).permutation(rows)
    path.write_text("ImageID,ans\n" + "".join(f"{i}.jpg,{labels[i]}\n" for i in order))
    return path


def make_run(path: Path, data: Path, *, seed: int = 7) -> RunDir:
    """Write what a run of two folds on `data` leaves behind, its networks apart."""
    run, (cfg, _) = RunDir(path), config.load(None, ["folds.k=2", f"seed={seed}"])
    frame = contest.read_train(data, CONTEST)
    table = folds.build(frame, CONTEST, k=2, holdout=0.2, seed=0)
    files.commit(run.config, config.to_yaml(cfg).encode())
    files.commit_json(run.labels, CONTEST.to_json())
    files.commit(run.manifest, tables.to_csv(frame))
    files.commit(run.folds, folds.to_csv(table))
    machine = dict(this_machine("cpu", 1))
    write_environment(run, Environment(data=str(data), folds=(0, 1), hashes=identity_hashes(run), **machine))
    for k in (0, 1):
        files.commit(run.fold(k).best.tensors, f"weights of fold {k}".encode())
    rng = np.random.default_rng(seed)
    prob_NJ = rng.dirichlet(np.full(18, 0.2), len(frame)).astype(np.float32)
    order = rng.permutation(len(frame))  # the rows of a file are joined by id
    Predictions(frame["id"].to_numpy(np.str_)[order], prob_NJ, CONTEST).save(run.oof)
    return run
