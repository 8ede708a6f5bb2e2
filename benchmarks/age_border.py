"""Labels next to the border of an age class: hard targets against soft ones, where the error of the ages is known.

Data      Drawn people with the ages of the contest: every old person is exactly 60, many are 55 to 59, and all look as
          old as they truly are. A table records their ages with errors of a known standard deviation. One photo per
          person, without a mask; age is the only task, with its borders at 30 and 60.
Compared  hard targets; age.spread 1, 2, 3 and 5; age.drop of 58 and 59, and of 57 to 59; age.train_bins=[29, 59].
Counted   Out-of-fold rows of all folds, against the recorded and the true ages: macro-F1 if as many photos are called
          >=60 as are recorded so, those with the highest probability (few are the most probable class of a photo); and
          the log loss of being old, of people recorded as 50 or older. Differences to hard targets on the same rows and
          seeds, with an interval over people, for macro-F1 also over seeds; see
          maskcls/results/comparison/over_seeds.py. Below it, without a network: the log loss of the targets themselves
          against the true classes, by their spread.
Run       python benchmarks/age_border.py make DIR --people 1600
          python benchmarks/age_border.py run DIR --error-years 2 --seeds 0 1
          python benchmarks/age_border.py table DIR --error-years 2 --seeds 0 1
Read      "recorded" is what a user sees, "true" what is wanted. A row is better than hard targets where the whole
          interval is above 0.

N rows, C classes of age.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from maskcls.config.yaml12 import dump_yaml
from maskcls.data.drawn.ages import AgePlan
from maskcls.data.drawn.faces import make_faces
from maskcls.data.drawn.people import people_of
from maskcls.nn.targets import value_rows
from maskcls.results.comparison.over_seeds import difference_over_seeds
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.rundir import RunDir
from maskcls.runs.read_labelled import read_out_of_fold

Array = Any
BINS = (30, 60)
SHOT = "normal"
ERRORS_YEARS = (0.0, 1.0, 2.0, 4.0)
BORDER_FROM = 50  # years recorded; younger people say nothing about the border at 60
METHODS: dict[str, tuple[str, ...]] = {
    "hard": (),
    "spread 1": ("age.spread=1",),
    "spread 2": ("age.spread=2",),
    "spread 3": ("age.spread=3",),
    "spread 5": ("age.spread=5",),
    "drop 58, 59": ("age.drop=[58, 59]",),
    "drop 57-59": ("age.drop=[57, 58, 59]",),
    "bins 29, 59": ("age.train_bins=[29, 59]",),
}
BASE = {
    "tasks": [{"name": "age", "classes": ["<30", "30-59", ">=60"], "bins": list(BINS)}],
    "data": {"format": "table", "group": "person"},
    "folds": {"k": 2},
    "model": {"heads": "multi", "backbone": "test_resnet"},
    "transforms": {"size": [64, 48], "hflip": 0.5, "geometry": 0.5, "shift": 0.05, "scale": 0.1, "colour": 0.3},
    "optim": {"lr": 4.0e-3, "weight_decay": 0.05},
    "schedule": {"warmup_epochs": 1.0},
    "average": {"decay": 0.95},
    "train": {"epochs": 10, "batch_size": 32, "report": False},
    "predict": {"views": "none"},
    "device": {"threads": 1},
}


def make(folder: Path, count: int, seed: int) -> None:
    """Draw the people, and write a table of their photos for every size of error, the true ages and the settings."""
    faces = folder / "faces"
    if not faces.exists():
        make_faces(faces, people=count, seed=seed, eval_people=1, size=(96, 72), plan=AgePlan("contest"))
    photos = {}
    for home in (faces / "train" / "images").iterdir():
        (photo,) = home.glob(f"{SHOT}.*")
        photos[home.name.partition("_")[0]] = photo.relative_to(folder).as_posix()
    for error_years in ERRORS_YEARS:
        people = people_of("train", count, seed, AgePlan("contest", error_years))
        rows = [(photos[one.id], one.recorded_years, one.id) for one in people]
        write(table_of(folder, error_years), ("path", "age", "person"), rows)
    write(folder / "true.csv", ("person", "true_age"), [(one.id, one.age_years) for one in people])
    (folder / "border.yaml").write_text(dump_yaml(BASE), encoding="utf-8")


def write(path: Path, header: tuple[str, ...], rows: list[Any]) -> None:
    """Write a CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def table_of(folder: Path, error_years: float) -> Path:
    """Return where the table with errors of this size is."""
    return folder / f"photos-{error_years:g}.csv"


def run(folder: Path, error_years: float, names: list[str], seeds: list[int]) -> None:
    """Train every method with every seed that is not finished."""
    for seed in seeds:
        for name in names:
            where = run_of(folder, error_years, name, seed)
            if where.summary.exists():
                continue
            files = [str(table_of(folder, error_years)), "--config", str(folder / "border.yaml")]
            new = ["train", *files, "--run", str(where.path), f"seed={seed}", *METHODS[name]]
            verb = ["resume", str(where.path)] if where.env.exists() else new
            print(f"error {error_years:g}", name, f"seed {seed}", flush=True)
            subprocess.run([sys.executable, "-m", "maskcls", *verb], check=True, stdout=subprocess.DEVNULL)


def run_of(folder: Path, error_years: float, name: str, seed: int) -> RunDir:
    """Return where a training is."""
    return RunDir(folder / "runs" / f"error{error_years:g}" / f"{name.replace(', ', '-').replace(' ', '')}-{seed}")


def table(folder: Path, error_years: float, seeds: list[int]) -> None:
    """Print the scores of every finished method, and the differences to hard targets."""
    text = {"person": str}
    ages = pd.read_csv(table_of(folder, error_years), dtype=text).merge(pd.read_csv(folder / "true.csv", dtype=text))
    ages = ages.set_index("person")
    finished = [n for n in METHODS if all(run_of(folder, error_years, n, seed).summary.exists() for seed in seeds)]
    gained = "F1 recorded - hard | F1 true - hard | log loss true - hard"
    print(f"| targets | F1 recorded | F1 true | log loss recorded | log loss true | {gained} |")
    print("|" + "---|" * 8)
    hard: list[Array] = []
    hard_loss_P: Array = None
    for name in finished:
        labels, cells, losses = [], [], []
        for seed in seeds:
            rows = read_out_of_fold(run_of(folder, error_years, name, seed))
            order = np.argsort(rows.people_N)
            people, prob_NC = rows.people_N[order], rows.prob_NJ[order].astype(np.float64)
            years = [ages.loc[people, column].to_numpy() for column in ("age", "true_age")]
            recorded, true = (np.searchsorted(BINS, one, side="right") for one in years)
            labels.append(as_many_old(prob_NC, int((recorded == 2).sum())))
            border = years[0] >= BORDER_FROM
            f1 = [macro_f1(confusion(truth, labels[-1], 3)) for truth in (recorded, true)]
            by_person = [log_loss(prob_NC[border, 2], truth[border] == 2) for truth in (recorded, true)]
            cells.append([*f1, *(float(loss.mean()) for loss in by_person)])
            losses.append(by_person[1])
        hard = hard or labels
        loss_P = np.mean(losses, axis=0)
        hard_loss_P = loss_P if hard_loss_P is None else hard_loss_P
        change_P = loss_P - hard_loss_P
        reach = 1.96 * float(change_P.std(ddof=1)) / np.sqrt(len(change_P))
        gains = [difference_over_seeds(truth, hard, labels, people, 3) for truth in (recorded, true)]
        shown = [f"{value:.3f}" for value in np.mean(cells, axis=0)]
        shown += ["" if name == "hard" else f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]" for one in gains]
        ends = f"{change_P.mean():+.4f} [{change_P.mean() - reach:+.4f}, {change_P.mean() + reach:+.4f}]"
        shown.append("" if name == "hard" else ends)
        print(f"| {name} | {' | '.join(shown)} |")
    crossed = (np.searchsorted(BINS, ages["age"], "right") != np.searchsorted(BINS, ages["true_age"], "right")).mean()
    print(f"\n{len(ages)} people, errors of {error_years:g} years, {crossed:.1%} in a wrong class, seeds {seeds}")
    print(f"targets alone, log loss by spread: {targets_alone(ages)}\n")


def targets_alone(ages: pd.DataFrame) -> str:
    """Return the log loss of the targets against the true classes, of people recorded as BORDER_FROM or older."""
    older = ages[ages["age"] >= BORDER_FROM]
    old_N, cells = older["true_age"].to_numpy() >= BINS[1], []
    for spread in (None, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0):
        target_N = value_rows(older["age"].to_numpy(), BINS, spread=spread)[:, 2].astype(np.float64)
        cells.append(f"{'hard' if spread is None else f'{spread:g}'} {log_loss(target_N, old_N).mean():.4f}")
    return "  ".join(cells)


def as_many_old(prob_NC: Array, old: int) -> Array:
    """Return the labels (N,): the oldest class for as many rows as given, else the more probable of the others.

    >>> as_many_old(np.array([[0.1, 0.5, 0.4], [0.6, 0.3, 0.1], [0.2, 0.5, 0.3]]), 1).tolist()
    [2, 0, 1]
    """
    label_N = prob_NC[:, :2].argmax(axis=1)
    label_N[np.argsort(-prob_NC[:, 2], kind="stable")[:old]] = 2
    return label_N


def log_loss(prob_N: Array, old_N: Array) -> Array:
    """Return the log loss (N,) of being old.

    >>> log_loss(np.array([0.5, 0.25]), np.array([True, False])).round(4).tolist()  # ln 2 and ln 4/3
    [0.6931, 0.2877]
    """
    prob_N = np.clip(prob_N, 1e-6, 1 - 1e-6)
    return -np.log(np.where(old_N, prob_N, 1 - prob_N))


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["make", "run", "table"])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--people", type=int, default=1600)
    parser.add_argument("--error-years", type=float, nargs="+", default=[2.0], choices=ERRORS_YEARS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", default=list(METHODS), choices=list(METHODS))
    a = parser.parse_args()
    if a.verb == "make":
        make(a.folder, a.people, seed=0)
    for error_years in a.error_years:
        if a.verb == "run":
            run(a.folder, error_years, a.only, a.seeds)
        elif a.verb == "table":
            table(a.folder, error_years, a.seeds)


if __name__ == "__main__":
    main()
