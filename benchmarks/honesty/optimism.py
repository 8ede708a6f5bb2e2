"""Is the printed worth of a choice right? The excess of the best of k runs, beside what `runs list` says it is.

    python benchmarks/honesty/optimism.py [--repeats 100] [--seed 0]

k networks answer about the same people; for half of them all answer alike. equal: all are as good. unequal: each makes
up to a fifth less errors than the worst. The true excess is that of the best run's score over its score on endless
people, against the mean of all runs; "estimated" is the mean of what is printed, "inside" how often the true excess
lies between the printed ends.
"""

from __future__ import annotations

import argparse

import numpy as np
from people import CONTEST, draw, macro_f1_of, world

from maskcls.results.comparison.optimism import optimism_of_best
from maskcls.results.scores.influence import score_influence
from maskcls.results.scores.person_counts import count_people

SAME = 0.5  # share of people about whom every network answers as the first does
BETTER_MOST = 0.2  # part of the errors that the best network makes less


def line(people: int, runs: int, repeats: int, seed: int, *, equal: bool) -> str:
    """Return a line of the table."""
    base, rng = world(CONTEST), np.random.default_rng(seed)
    worlds = [base if equal else base.better(part) for part in np.linspace(0, BETTER_MOST, runs)]
    truth_R = np.array([macro_f1_of(SAME * base.joint() + (1 - SAME) * one.joint()) for one in worlds])
    true, guessed, inside = [], [], []
    for _ in range(repeats):
        rows = draw(worlds, people, rng, same=SAME)
        counts = [count_people(rows.truth, one, rows.person, base.classes) for one in rows.predicted]
        luck_R = np.array([score_influence(one).value for one in counts]) - truth_R
        found = optimism_of_best(counts)
        true.append(luck_R[(luck_R + truth_R).argmax()] - luck_R.mean())
        guessed.append(found.value)
        inside.append(found.low <= true[-1] <= found.high)
    error = float(np.std(true)) / np.sqrt(repeats)
    kind = "equal" if equal else "unequal"
    return (
        f"| {people} | {runs} | {kind} | {np.mean(true):+.4f} +- {error:.4f} | {np.mean(guessed):+.4f} |"
        f" {np.mean(inside):.2f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("| people | runs | networks | true excess | estimated | inside |")
    print("|---|---|---|---|---|---|")
    for people in (100, 400):
        for runs in (2, 5, 12):
            for equal in (True, False):
                print(line(people, runs, given.repeats, given.seed, equal=equal), flush=True)


if __name__ == "__main__":
    main()
