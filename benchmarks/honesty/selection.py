"""How far a score is too high because the epoch was chosen, and how often `runs compare` then sees a gain that is none.

Simulated  A run of 5 folds on P people with 7 photos each (5 wear, 1 incorrect, 1 normal; contest's shares of gender
           and age). Its predictions follow fixed error rates, so all epochs are equally good. In every epoch a share of
           the run's predictions (the churn) is drawn again: masks by photo, gender and age by person. Two runs share
           all but RUN_CHURN of their predictions.
Rules      own    each fold's epoch by its own rows (versions before train.select).
           others each fold's epoch by the other folds' rows (train.select=macro_f1).
           last   the last epoch (train.select=last).
Printed    optimism  mean score of the chosen epochs minus that of the last ones, +- 2 standard errors. 0 is right.
           compare   share of repetitions in which a run of 15 epochs is found better than one of 2, and worse; both
                     have the same true score. 2.5 % each is nominal.
           lost      with epochs whose accuracy truly rises to a maximum at epoch 10 of 15 and falls again: relative
                     accuracy of the chosen epochs minus that of the best one.
Run        python benchmarks/honesty/selection.py [--repeats 400] [--seed 0]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import CONTEST
from maskcls.results.comparison.difference import paired_difference
from maskcls.results.scores.epoch_choice import criterion, ranked_epochs
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.results.scores.tally import Tally, epoch_scores, tally

FOLDS, EPOCHS, FEW = 5, 15, 2
CHURN, RUN_CHURN = 0.04, 0.3
MASKS = np.array([0, 0, 0, 0, 0, 1, 2])
SHARES = {"gender": (0.39, 0.61), "age": (0.47, 0.46, 0.07)}
ACCURACY = {"mask": 0.97, "gender": 0.93, "age": 0.75}
Labels = NDArray[np.int64]


def people(count: int, rng: np.random.Generator) -> tuple[dict[str, Labels], Labels]:
    """Return the labels of each task and the person of each photo, (N,)."""
    person = np.repeat(np.arange(count), len(MASKS))
    by_person = {name: rng.choice(len(shares), count, p=shares) for name, shares in SHARES.items()}
    return {"mask": np.tile(MASKS, count)} | {name: values[person] for name, values in by_person.items()}, person


def drawn(truth: dict[str, Labels], person: Labels, accuracy: float, rng: np.random.Generator) -> dict[str, Labels]:
    """Return predictions of each task: right with the task's accuracy times `accuracy`, else any other class."""
    found = {}
    for task in CONTEST.tasks:
        size = len(person) if task.name == "mask" else int(person.max()) + 1
        right, shift = rng.random(size) < ACCURACY[task.name] * accuracy, rng.integers(1, len(task.classes), size)
        if task.name != "mask":
            right, shift = right[person], shift[person]
        found[task.name] = np.where(right, truth[task.name], (truth[task.name] + shift) % len(task.classes))
    return found


def mixed(old: dict[str, Labels], new: dict[str, Labels], person: Labels, share: float, rng: np.random.Generator):
    """Return the old predictions with a share of them replaced by new ones: of photos for masks, else of people."""
    by_photo, by_person = rng.random(len(person)) < share, (rng.random(int(person.max()) + 1) < share)[person]
    return {name: np.where(by_photo if name == "mask" else by_person, new[name], old[name]) for name in old}


def run_of(
    base: dict[str, Labels],
    truth: dict[str, Labels],
    person: Labels,
    rng: np.random.Generator,
    quality: Callable[[int], float] = lambda epoch: 1.0,
) -> list[dict[str, Labels]]:
    """Return the predictions after each of EPOCHS epochs."""
    own = mixed(base, drawn(truth, person, 1.0, rng), person, RUN_CHURN, rng)
    if quality(0) == quality(EPOCHS - 1) == 1.0:
        return [mixed(own, drawn(truth, person, 1.0, rng), person, CHURN, rng) for _ in range(EPOCHS)]
    return [drawn(truth, person, quality(epoch), rng) for epoch in range(EPOCHS)]


def counted(predicted: dict[str, Labels], truth: dict[str, Labels], rows: Labels) -> Tally:
    """Return the counts of these rows."""
    joint = CONTEST.encode({name: values[rows] for name, values in predicted.items()})
    prob = np.eye(CONTEST.size, dtype=np.float32)[joint]
    return tally(prob, {name: values[rows] for name, values in truth.items()}, CONTEST)


def choices(tallies: Sequence[Sequence[Tally]], epochs: int, rule: str) -> list[int]:
    """Return the chosen epoch of each fold among the first `epochs`."""
    if rule == "last":
        return [epochs - 1] * FOLDS
    short = [fold[:epochs] for fold in tallies]
    if rule == "own":
        scores = [[criterion(epoch_scores(one), "macro_f1") for one in fold] for fold in short]
        return [int(np.argmax(fold)) for fold in scores]
    others = [[short[j] for j in range(FOLDS) if j != k] for k in range(FOLDS)]
    return [ranked_epochs(others[k], range(epochs), "macro_f1")[0] for k in range(FOLDS)]


def pooled(predictions: Sequence[dict[str, Labels]], fold: Labels, chosen: Sequence[int]) -> Labels:
    """Return the joint out-of-fold labels (N,) with the chosen epoch of each fold."""
    joint = np.stack([CONTEST.encode(one) for one in predictions])
    return joint[np.asarray(chosen)[fold], np.arange(len(fold))]


def one_repetition(count: int, rng: np.random.Generator) -> dict[str, float]:
    """Simulate two equally good runs and one whose epochs differ; return the figures of every rule."""
    truth, person = people(count, rng)
    fold = (rng.permutation(count) % FOLDS)[person]
    rows = [np.flatnonzero(fold == k) for k in range(FOLDS)]
    base, true = drawn(truth, person, 1.0, rng), CONTEST.encode(truth)
    runs = [run_of(base, truth, person, rng) for _ in range(2)]
    tallies = [[[counted(one, truth, part) for one in run] for part in rows] for run in runs]
    score = lambda labels: macro_f1(confusion(true, labels, CONTEST.size))  # noqa: E731
    found: dict[str, float] = {}
    for rule in ("own", "others", "last"):
        short, long = (
            pooled(run, fold, choices(counts, epochs, rule))
            for run, counts, epochs in zip(runs, tallies, (FEW, EPOCHS), strict=True)
        )
        found[f"optimism {rule}"] = score(long) - score(pooled(runs[1], fold, [EPOCHS - 1] * FOLDS))
        gain = paired_difference(true, short, long, person, CONTEST.size)
        found |= {f"better {rule}": gain.low > 0, f"worse {rule}": gain.high < 0}
    rising = lambda epoch: 1.0 - 0.0015 * (epoch - 9) ** 2  # noqa: E731
    run = run_of(base, truth, person, rng, rising)
    counts = [[counted(one, truth, part) for one in run] for part in rows]
    for rule in ("own", "others", "last"):
        found[f"regret {rule}"] = float(np.mean([rising(e) - 1.0 for e in choices(counts, EPOCHS, rule)]))
    return found


def main() -> None:
    """Print one table per number of people."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--people", type=int, nargs="+", default=[150, 800])
    a = parser.parse_args()
    for count in a.people:
        rng = np.random.default_rng([a.seed, count])
        rows = [one_repetition(count, rng) for _ in range(a.repeats)]
        print(f"\n{count} people, {a.repeats} repetitions, seed {a.seed}")
        print("| rule | optimism | 15 epochs found better than 2 | worse | relative accuracy lost by the choice |")
        print("|---|---|---|---|---|")
        for rule in ("own", "others", "last"):
            values = {name: np.array([row[f"{name} {rule}"] for row in rows], float) for name in NAMES}
            error = 2 * values["optimism"].std(ddof=1) / np.sqrt(a.repeats)
            shares = " | ".join(f"{values[name].mean():.1%}" for name in ("better", "worse"))
            optimism, lost = values["optimism"].mean(), values["regret"].mean()
            print(f"| {rule} | {optimism:+.4f} +- {error:.4f} | {shares} | {lost:+.4f} |")


NAMES = ("optimism", "better", "worse", "regret")

if __name__ == "__main__":
    main()
