"""How even folds are: people alone (as before), ours, and scikit-learn's StratifiedGroupKFold, on eleven tables.

    python benchmarks/honesty/folds.py [--seeds 0 1 2 3 4] [--markdown]

The tables are drawn: labels and numbers of photos at random, one table per seed. The first is the contest's, the other
ten are skewed. Each column is the mean over the seeds, in percent:

size    (largest fold - smallest) / mean fold, of photos and of people
class   the largest deviation of a class's share in a fold from its share in the table, relative to that share, over all
        folds and classes; of photos: every task; of people: tasks whose label is the same on all photos of a person

scikit-learn gets the joint class of all tasks as its one label. `lost` counts the cells of ours that are worse than
scikit-learn's, of all tables, seeds and columns.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from maskcls.data.rows.folds import balanced_folds, make_folds

Ints = NDArray[np.int64]
Shares = tuple[float, ...]


@dataclass(frozen=True)
class Table:
    """Labels of N photos: of tasks that are the same on all photos of a person (own), and of others; -1 = unknown."""

    name: str
    who_N: Ints
    own: dict[str, Ints]
    other: dict[str, Ints]
    k: int = 5

    @property
    def names(self) -> list[str]:
        return [f"p{who}" for who in self.who_N]

    @property
    def strata(self) -> Ints:
        return joint(self.own, len(self.who_N))


def joint(labels: dict[str, Ints], rows: int) -> Ints:
    """Return one class (N,) for the classes of all tasks together."""
    found = np.zeros(rows, dtype=np.int64)
    for label_N in labels.values():
        found = found * (label_N.max() + 2) + label_N + 1
    return found


def tables(seed: int) -> Iterator[Table]:
    """Draw the contest's table and ten skewed ones."""
    rng = np.random.default_rng(seed)

    def draw(count: int, shares: Shares) -> Ints:
        return rng.choice(len(shares), count, p=np.array(shares) / sum(shares))

    def table(
        name: str, photos_P: Ints, own: dict[str, Ints], mask: tuple[float, ...] = (5, 1, 1), k: int = 5
    ) -> Table:
        who_N = np.repeat(np.arange(len(photos_P)), photos_P)
        other = {"mask": draw(len(who_N), mask)} if mask else {}
        return Table(name, who_N, {task: label_P[who_N] for task, label_P in own.items()}, other, k)

    def faces(people: int, old: float = 0.07) -> dict[str, Ints]:
        return {"gender": draw(people, (0.4, 0.6)), "age": draw(people, (0.5 - old / 2, 0.5 - old / 2, old))}

    contest = table("contest: 5 + 1 + 1 photos", np.full(800, 7), faces(800), ())
    yield Table(contest.name, contest.who_N, contest.own, {"mask": np.tile([0, 0, 0, 0, 0, 1, 2], 800)})
    yield table("2 to 20 photos, 200 people", rng.integers(2, 21, 200), faces(200))
    yield table("2 to 20 photos, 800 people", rng.integers(2, 21, 800), faces(800))
    few = np.arange(30)
    yield table("2 to 20 photos, 30 people", rng.integers(2, 21, 30), {"gender": few % 2, "age": few % 3})
    yield table("1 to 200 photos, Zipf", np.minimum(rng.zipf(1.6, 300), 200), faces(300))
    photos = rng.integers(2, 10, 100)
    photos[0] = photos.sum() // 4
    yield table("one person has a fifth", photos, faces(100))
    people = faces(400)
    many = np.where(people["age"] == 2, rng.integers(15, 30, 400), rng.integers(1, 6, 400))
    yield table("old people have many photos", many, people)
    yield table("rare classes", rng.integers(1, 12, 500), faces(500, old=0.015), (90, 9, 1))
    yield table("eight tasks", rng.integers(1, 11, 400), {f"task{i}": draw(400, (0.7, 0.3)) for i in range(8)}, ())
    yield long_tail(rng)
    people = faces(300) | {"age": np.where(rng.random(300) < 0.2, -1, draw(300, (0.47, 0.46, 0.07)))}
    yield table("unknown labels, ten folds", rng.integers(2, 21, 300), people, k=10)


def long_tail(rng: np.random.Generator) -> Table:
    """Draw 300 people, each with a few of 30 classes."""
    who_N = np.repeat(np.arange(300), rng.integers(2, 21, 300))
    chance_PC = rng.dirichlet(np.full(30, 0.15), 300)
    label_N = (rng.random(len(who_N))[:, None] > chance_PC[who_N].cumsum(axis=1)).sum(axis=1).clip(0, 29)
    return Table("30 classes within people", who_N, {}, {"class": label_N})


def people_alone(table: Table) -> Ints:
    return make_folds(table.names, table.strata, k=table.k).astype(np.int64)


def ours(table: Table) -> Ints:
    return balanced_folds(table.names, table.strata, table.own, table.other, k=table.k).astype(np.int64)


def scikit_learn(table: Table) -> Ints:
    label_N = joint(table.own | table.other, len(table.who_N))
    fold_N = np.zeros(len(label_N), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes of fewer than k photos
        for fold, (_, rows) in enumerate(StratifiedGroupKFold(table.k).split(label_N, label_N, table.who_N)):
            fold_N[rows] = fold
    return fold_N


def evenness(table: Table, fold_N: Ints) -> list[float]:
    """Return size and class of photos, then of people, as shares."""
    rows = np.unique(table.who_N, return_index=True)[1]
    person = {task: label_N[rows] for task, label_N in table.own.items()}
    return [*_evenness(fold_N, table.own | table.other, table.k), *_evenness(fold_N[rows], person, table.k)]


def _evenness(fold_N: Ints, labels: dict[str, Ints], k: int) -> tuple[float, float]:
    size_K = np.bincount(fold_N, minlength=k)
    kinds = [label_N == label for label_N in labels.values() for label in np.unique(label_N[label_N >= 0])]
    shares = [np.bincount(fold_N[kind], minlength=k) / size_K / kind.mean() for kind in kinds]
    return float(np.ptp(size_K) / size_K.mean()), max((float(np.abs(share - 1).max()) for share in shares), default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    words = parser.parse_args()
    makers = {"people alone": people_alone, "ours": ours, "scikit-learn": scikit_learn}
    found: dict[str, dict[str, list[list[float]]]] = {}
    seconds = dict.fromkeys(makers, 0.0)
    for seed in words.seeds:
        for table in tables(seed):
            for name, make in makers.items():
                start = time.perf_counter()
                fold_N = make(table)
                seconds[name] += time.perf_counter() - start
                found.setdefault(table.name, {}).setdefault(name, []).append(evenness(table, fold_N))
    mark = " | " if words.markdown else "  "
    print(mark.join(f"{text:28}" for text in ("table", *makers)))
    for title, columns in found.items():
        means = [100 * np.mean(values, axis=0) for values in columns.values()]
        print(mark.join([f"{title:28}", *(f"{' '.join(f'{value:6.1f}' for value in one):28}" for one in means)]))
    mine, theirs = (np.array([columns[name] for columns in found.values()]) for name in ("ours", "scikit-learn"))
    print(
        f"\nlost: {int((mine > theirs + 1e-9).sum())}, won: {int((mine < theirs - 1e-9).sum())} of {mine.size} cells;",
        end=" ",
    )
    print(", ".join(f"{name} {spent / len(words.seeds):.2f} s" for name, spent in seconds.items()), "for all tables")


if __name__ == "__main__":
    main()
