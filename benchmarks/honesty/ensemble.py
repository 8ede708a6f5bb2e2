"""Is the printed gain of an ensemble the gain on new people? Before: over the best member picked on the same rows.

    python benchmarks/honesty/ensemble.py [--repeats 400] [--people 400] [--seed 0]

Drawn out-of-fold rows of 18 classes: people with seven rows, whose errors are shared by all members in part. The gain
on new people is that of the same members on 12,000 others. The single member that the ensemble is compared with is, on
new people, the one that would be used: the best on the out-of-fold rows. bias: mean printed gain minus mean gain on new
people. Standard errors of the means are about 0.001.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from people import CONTEST, World, world

from maskcls.results.ensembles.rival import nested_rival
from maskcls.results.scores.metrics import confusion, macro_f1

Array = Any
NEW_PEOPLE, FOLDS, PER_PERSON = 12_000, 5, 7
SETTINGS = {  # name: signal of each member (higher is better), part of the noise that the members share
    "2 equal": ((2.2,) * 2, 0.8),
    "5 equal": ((2.2,) * 5, 0.8),
    "10 equal": ((2.2,) * 10, 0.8),
    "10 equal, nearly the same": ((2.2,) * 10, 0.97),
    "5, one better": ((2.2,) * 4 + (2.7,), 0.8),
    "10, one better": ((2.2,) * 9 + (2.7,), 0.8),
}


def rows(people: int, members: tuple[float, ...], shared: float, rng: np.random.Generator) -> tuple[Array, list[Array]]:
    """Return the truth (N,) and each member's probabilities (N, 18)."""
    of: World = world(CONTEST)
    group = np.repeat(rng.choice(6, people, p=of.shares), PER_PERSON)
    truth = np.tile(np.repeat(np.arange(3), of.photos), people) * 6 + group
    person = np.repeat(rng.normal(0, 0.7, (people, 18)), PER_PERSON, axis=0)
    common = person + rng.normal(0, 0.7, (len(truth), 18))
    found = []
    for signal in members:
        own = rng.normal(0, 1.0, common.shape)
        logits = signal * np.eye(18)[truth] + np.sqrt(shared) * common + np.sqrt(1 - shared) * own
        prob = np.exp(1.5 * logits)
        found.append(prob / prob.sum(axis=1, keepdims=True))
    return truth, found


def scored(truth: Array, label: Array) -> float:
    """Return the macro-F1."""
    return macro_f1(confusion(truth, label, 18))


def measure(members: tuple[float, ...], shared: float, people: int, repeats: int, seed: int) -> Array:
    """Return for each repeat the gain printed before and after, and the gain on new people, (R, 3)."""
    rng = np.random.default_rng(seed)
    new_truth, new = rows(NEW_PEOPLE, members, shared, rng)
    new_mean = scored(new_truth, np.mean(new, axis=0).argmax(axis=1))
    new_alone = [scored(new_truth, prob.argmax(axis=1)) for prob in new]
    fold = np.repeat(np.arange(people) % FOLDS, PER_PERSON)
    out = []
    for _ in range(repeats):
        truth, prob = rows(people, members, shared, rng)
        labels = [one.argmax(axis=1) for one in prob]
        alone = [scored(truth, label) for label in labels]
        mean = scored(truth, np.mean(prob, axis=0).argmax(axis=1))
        rival = nested_rival(labels, truth, fold, 18)
        out.append((mean - max(alone), mean - rival.macro_f1, new_mean - new_alone[int(np.argmax(alone))]))
    return np.array(out)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("| members | gain on new people | printed before | bias | printed now | bias |\n|---|---|---|---|---|---|")
    for name, (members, shared) in SETTINGS.items():
        before, now, new = measure(members, shared, given.people, given.repeats, given.seed).mean(axis=0)
        print(
            f"| {name} | {new:+.4f} | {before:+.4f} | {before - new:+.4f} | {now:+.4f} | {now - new:+.4f} |", flush=True
        )


if __name__ == "__main__":
    main()
