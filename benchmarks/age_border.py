"""Labels next to the border of an age class: hard targets against soft ones, where the error of the ages is known.

Data      Drawn people with the ages of the contest: every old person is exactly 60, many are 55 to 59, and all look as
          old as they truly are. The table's ages have errors with a known standard deviation. One photo per person,
          without a mask; age is the only task, with its borders at 30 and 60.
Compared  hard targets; age.spread 1, 2, 3 and 5; age.drop of 58 and 59, and of 57 to 59; age.train_bins=[29, 59].
Counted   Out-of-fold rows of all folds: macro-F1, F1 of >=60, and the log loss of the border (old or not, of people
          recorded as 50 or older), each against the recorded and against the true ages. Differences to hard targets on
          the same rows and seeds, with an interval over people; see maskcls/results/comparison/over_seeds.py.
Run       python benchmarks/age_border.py make DIR --people 1600 --error-years 2
          python benchmarks/age_border.py run DIR --seeds 0 1
          python benchmarks/age_border.py table DIR --seeds 0 1
Read      "macro-F1" is what a user sees, "true" what is wanted. A row is better than hard targets where the whole
          interval is above 0.

N rows, C classes of age.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from maskcls.config.yaml12 import dump_yaml
from maskcls.data.drawn.ages import AgePlan
from maskcls.data.drawn.faces import TRUE_AGES, make_faces
from maskcls.results.comparison.over_seeds import difference_over_seeds
from maskcls.results.scores.metrics import confusion, f1_per_class, macro_f1
from maskcls.rundir import RunDir
from maskcls.runs.read_labelled import read_out_of_fold

BINS = (30, 60)
SHOTS = ("normal",)
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
    "train": {"epochs": 14, "batch_size": 16, "report": False},
    "predict": {"views": "none"},
    "device": {"threads": 1},
}


def make(folder: Path, people: int, error_years: float, seed: int) -> None:
    """Draw the people, and write the table of their photos, the true ages and the configuration beside them."""
    plan = AgePlan("contest", error_years)
    made = make_faces(folder / "faces", people=people, seed=seed, eval_people=1, size=(96, 72), plan=plan)
    with (folder / "photos.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("path", "age", "person"))
        for person in made.train_people:
            home = made.root / "train" / "images" / person.folder
            for shot in SHOTS:
                (photo,) = home.glob(f"{shot}.*")
                table.writerow((photo.relative_to(folder.resolve()).as_posix(), person.recorded_years, person.folder))
    if not (made.root / TRUE_AGES).exists():  # without errors; written all the same for `table`
        with (made.root / TRUE_AGES).open("w", newline="", encoding="utf-8") as file:
            rows = [(one.folder, one.recorded_years, one.age_years) for one in made.train_people]
            csv.writer(file, lineterminator="\n").writerows([("path", "age", "true_age"), *rows])
    (folder / "border.yaml").write_text(dump_yaml(BASE), encoding="utf-8")


def run(folder: Path, names: list[str], seeds: list[int]) -> None:
    """Train every method with every seed that is not finished."""
    for seed in seeds:
        for name in names:
            where = run_of(folder, name, seed)
            if where.summary.exists():
                continue
            verb = ["resume", str(where.path)] if where.env.exists() else new_run(folder, name, seed)
            print(name, seed, flush=True)
            subprocess.run([sys.executable, "-m", "maskcls", *verb], check=True, stdout=subprocess.DEVNULL)


def new_run(folder: Path, name: str, seed: int) -> list[str]:
    """Return the arguments that begin a training."""
    files = [str(folder / "photos.csv"), "--config", str(folder / "border.yaml")]
    return ["train", *files, "--run", str(run_of(folder, name, seed).path), f"seed={seed}", *METHODS[name]]


def run_of(folder: Path, name: str, seed: int) -> RunDir:
    """Return where a training is."""
    return RunDir(folder / "runs" / f"{name.replace(', ', '-').replace(' ', '')}-{seed}")


def table(folder: Path, seeds: list[int]) -> None:
    """Print the scores of every finished method, and the differences to hard targets."""
    true_age = pd.read_csv(folder / "faces" / TRUE_AGES).set_index("path")
    names = [name for name in METHODS if all(run_of(folder, name, seed).summary.exists() for seed in seeds)]
    print(
        "| targets | macro-F1 | true | F1 of >=60 | true | log loss | true | macro-F1 - hard | true macro-F1 - hard |"
    )
    print("|" + "---|" * 9)
    hard: dict[str, list[np.ndarray]] = {}
    for name in names:
        labels, cells = [], []
        for seed in seeds:
            rows = read_out_of_fold(run_of(folder, name, seed))
            order = np.argsort(rows.ids)
            people = rows.people_N[order]
            prob_NC = rows.prob_NJ[order].astype(np.float64)
            recorded, true = (class_of(true_age.loc[people, column].to_numpy()) for column in ("age", "true_age"))
            assert (recorded == rows.truth["age"][order]).all()
            border = true_age.loc[people, "age"].to_numpy() >= BORDER_FROM
            labels.append(prob_NC.argmax(axis=1))
            cells.append([*scores(labels[-1], recorded), *scores(labels[-1], true)])
            cells[-1] += [log_loss(prob_NC[border, 2], truth[border] == 2) for truth in (recorded, true)]
        hard.setdefault("labels", labels)
        mean = np.mean(cells, axis=0)
        shown = [f"{mean[place]:.3f}" for place in (0, 2, 1, 3, 4, 5)]
        gains = [difference_over_seeds(truth, hard["labels"], labels, people, 3) for truth in (recorded, true)]
        shown += ["" if name == "hard" else f"{one.value:+.3f} [{one.low:+.3f}, {one.high:+.3f}]" for one in gains]
        print(f"| {name} | {' | '.join(shown)} |")
    wrong = (class_of(true_age["age"].to_numpy()) != class_of(true_age["true_age"].to_numpy())).mean()
    print(f"\n{len(true_age)} people, {wrong:.1%} with a wrong class, seeds {seeds}")


def class_of(years_N: np.ndarray) -> np.ndarray:
    """Return the age class (N,) of ages in years."""
    return np.searchsorted(BINS, years_N, side="right")


def scores(label_N: np.ndarray, truth_N: np.ndarray) -> list[float]:
    """Return the macro-F1, and the F1 of the oldest class."""
    counted = confusion(truth_N, label_N, 3)
    return [macro_f1(counted), float(f1_per_class(counted)[2])]


def log_loss(prob_N: np.ndarray, old_N: np.ndarray) -> float:
    """Return the mean log loss of being old.

    >>> round(log_loss(np.array([0.5, 0.25]), np.array([True, False])), 4)  # (ln 2 + ln 4/3) / 2
    0.4904
    """
    prob_N = np.clip(prob_N, 1e-6, 1 - 1e-6)
    return float(-np.log(np.where(old_N, prob_N, 1 - prob_N)).mean())


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["make", "run", "table"])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--people", type=int, default=1600)
    parser.add_argument("--error-years", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", default=list(METHODS), choices=list(METHODS))
    a = parser.parse_args()
    if a.verb == "make":
        make(a.folder, a.people, a.error_years, seed=0)
    elif a.verb == "run":
        run(a.folder, a.only, a.seeds)
    else:
        table(a.folder, a.seeds)


if __name__ == "__main__":
    main()
