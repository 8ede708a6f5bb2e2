"""A finished run of any label space, written without a training: tables, predictions, logs and summaries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskcls import config, files
from maskcls.data.rows import folds as folding
from maskcls.data.rows import manifest as tables
from maskcls.labels import CONTEST, Ints, LabelSpace
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.results.scores.evaluation import evaluate_predictions
from maskcls.rundir import RunDir
from maskcls.runs.choices.tried import add_run
from maskcls.runs.environment import Environment, this_machine, write_environment
from maskcls.runs.identity import identity_hashes
from maskcls.runs.networks import run_networks
from maskcls.runs.summary import FoldSummary, RunSummary, SavedScores, scored_fold, write_fold_summary, write_summary

PHOTOS = 3  # of each person


def finish_run(
    path: Path,
    space: LabelSpace = CONTEST,
    *,
    people: int = 24,
    trained: Sequence[int] = (0, 1),
    epochs: int = 3,
    settings: Sequence[str] = (),
    leaky: bool = False,
    years: bool = True,
    unknown: str = "",
    seed: int = 0,
    right: float = 2 / 3,
) -> RunDir:
    """Write what a training of k = 2 folds leaves behind, its networks apart.

    Every person has the same label of the last task on all photos; the other tasks vary.
    right    the share of rows with right predictions, about; the rows that are right with a smaller share stay right.
    years    whether the whole numbers of a task with bins are known.
    unknown  a task without any label; "": none.
    """
    run, rng = RunDir(path), np.random.default_rng(seed)
    tasks = json.dumps(space.to_json())
    cfg, _ = config.load(None, [f"tasks={tasks}", "folds.k=2", f"train.epochs={epochs}", *settings])
    rows = people * PHOTOS
    labels = _labels(space, people, rng)
    values = {t.name: _values(t.bins, labels[t.name]) for t in space.tasks if t.bins and years}
    if unknown:
        values.pop(unknown, None)
        labels[unknown] = np.full(rows, -1)
    ids = [f"p{i // PHOTOS}/{i % PHOTOS}" for i in range(rows)]
    person = [f"p{i // PHOTOS}" for i in range(rows)]
    frame = tables.build(ids, [f"{name}.jpg" for name in ids], space, person=person, labels=labels, values=values)
    fold_N = np.arange(rows) // PHOTOS % 2
    table = frame[["id", "person"]].assign(fold=fold_N)
    files.commit(run.config, config.to_yaml(cfg).encode())
    files.commit_json(run.labels, space.to_json())
    files.commit(run.manifest, tables.to_csv(frame))
    files.commit(run.folds, folding.to_csv(table))
    machine = dict(this_machine("cpu", 1))
    write_environment(run, Environment(data="faces", folds=tuple(trained), hashes=identity_hashes(run), **machine))
    kept = np.flatnonzero(np.isin(fold_N, list(trained)))
    prob_NJ = _probabilities(space.encode(labels)[kept], space.size, rng, right)
    oof = Predictions([ids[i] for i in kept], prob_NJ, space)
    truth = {name: label_N[kept] for name, label_N in labels.items()}
    labelled = LabelledPredictions(
        oof.ids.tolist(), oof.labels(), truth, space, prob_NJ, np.array(person)[kept], fold_N[kept]
    )
    found = evaluate_predictions(labelled)
    for network in run_networks(cfg, trained):
        folder = network.folder(run)
        names = [network.task] if network.task else list(space.names)
        files.commit(folder.log, "".join(_log_line(e, epochs, names, rng) for e in range(epochs)).encode())
        files.commit(folder.done, b"0" * 64)
        if network.scored and leaky:
            write_fold_summary(folder, FoldSummary(best_epoch=epochs - 1, leaky=True))
        elif network.scored:
            write_fold_summary(folder, scored_fold(1 % epochs, (), found.folds[network.fold]))
    if leaky:
        none: dict[str, dict[str, float | None]] = {str(k): {} for k in trained}
        write_summary(run, RunSummary(leaky=True, pooled=None, interval=None, folds=none, mean={}, sd={}))
        return run
    oof.save(run.oof)
    every = [one.macro_f1 for one in found.folds.values()]
    folds = {str(k): {"macro_f1": files.none_for_nan(one.macro_f1)} for k, one in found.folds.items()}
    mean, sd = float(np.mean(every)), float(np.std(every, ddof=len(every) > 1))
    spread = {name: {"macro_f1": files.none_for_nan(value)} for name, value in (("mean", mean), ("sd", sd))}
    write_summary(
        run,
        RunSummary(
            pooled=SavedScores.of(found.scores),
            interval=found.interval,
            prediction_interval=found.prediction,
            people=len(set(np.array(person)[kept])),
            folds=folds,
            **spread,
        ),
    )
    assert add_run(run) == ""
    return run


def _labels(space: LabelSpace, people: int, rng: np.random.Generator) -> dict[str, Ints]:
    constant, labels = space.tasks[-1].name, {}
    for task in space.tasks:
        size = people if task.name == constant else people * PHOTOS
        label_n = rng.permutation(np.arange(size) % len(task.classes))
        labels[task.name] = np.repeat(label_n, PHOTOS) if task.name == constant else label_n
    return labels


def _values(bins: Sequence[int], label_N: Ints) -> Ints:
    """Return a number of each row's band: its first, or the last below the first border."""
    return np.array([0, *bins])[label_N] if bins else label_N


def _probabilities(true_N: Ints, classes: int, rng: np.random.Generator, share: float) -> np.ndarray:
    prob_NJ = rng.dirichlet(np.full(classes, 0.3), len(true_N))
    right = rng.random(len(true_N)) < share
    prob_NJ[right, true_N[right]] += 1.5
    return (prob_NJ / prob_NJ.sum(axis=1, keepdims=True)).astype(np.float32)


def _log_line(epoch: int, epochs: int, names: Sequence[str], rng: np.random.Generator) -> str:
    score = 0.4 + 0.1 * epoch
    line = {"epoch": epoch, "lr": 0.001 * (1 - epoch / epochs), "seconds": 2.0, "images_per_second": 50.0}
    line |= {"is_best": True, "step": epoch, "train/loss": 1 / (epoch + 1), "val/loss": float(rng.random())}
    line |= {"val/macro_f1": score} | {f"val/{name}": score for name in names}
    return json.dumps(line) + "\n"
