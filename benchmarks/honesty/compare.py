"""How often is something declared better that is not? Comparisons, the best of several runs, and decision rules.

    python benchmarks/honesty/compare.py [--repeats 400] [--seed 0] [--only-rules]

runs: k equally good networks are compared with a base that is as good; a false positive is any of them declared better
or worse. The best of them is also scored: on the rows it is chosen on, and chosen on other people; its true score is
known. rules: probabilities of a calibrated network on classes that are equally frequent, so that no rule is better on
new people than the most probable class; a false positive is a rule that `calibrate` would keep.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from people import CONTEST, draw, macro_f1_of, world

from maskcls.labels import CONTEST as SPACE
from maskcls.results.comparison.difference import difference_of, paired_influence
from maskcls.results.comparison.many import best_of
from maskcls.results.comparison.multiple import family_level, holm, simultaneous
from maskcls.results.decisions.bias_rule import fit_bias
from maskcls.results.decisions.expected_rule import expected_rule
from maskcls.results.decisions.nested_gain import nested_gain
from maskcls.results.scores.intervals import LEVEL

Array = Any
FOLDS = 5


def runs(people: int, others: int, repeats: int, seed: int) -> str:
    """Return a line of the first table."""
    of, rng = world(CONTEST), np.random.default_rng(seed)
    truth, found = macro_f1_of(of.joint()), []
    for _ in range(repeats):
        rows = draw([of] * (1 + others), people, rng, same=0.5)
        args = rows.person, of.classes
        moved = [paired_influence(rows.truth, rows.predicted[0], one, *args) for one in rows.predicted[1:]]
        p = [difference_of(one).p for one in moved]
        best = best_of(rows.predicted, rows.truth, rows.person % FOLDS, of.classes)
        largest = min(one.p for one in simultaneous(moved))
        found.append((min(p) <= 0.05, min(holm(p)) <= 0.05, largest <= 0.05, best.here - truth, best.others - truth))
    plain, holms, largest, here, elsewhere = np.array(found, dtype=float).mean(axis=0)
    cells = [f"{share:.3f}" for share in (plain, holms, largest)] + [f"{gap:+.4f}" for gap in (here, elsewhere)]
    return f"| {people} | {others} | {' | '.join(cells)} |"


def calibrated(people: int, sharpness: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return probabilities (N, 18) that are right about themselves, the truth drawn from them, and the person."""
    person = np.repeat(np.arange(people), 7)
    noise = rng.normal(0, 1, (people, SPACE.size))[person] + rng.normal(0, 1, (len(person), SPACE.size))
    prob = np.exp(sharpness * noise)
    prob /= prob.sum(axis=1, keepdims=True)
    truth = (rng.random(len(prob))[:, None] > prob.cumsum(axis=1)).sum(axis=1).clip(0, SPACE.size - 1)
    return prob.astype(np.float32), truth, person


def rules(people: int, sharpness: float, repeats: int, seed: int) -> str:
    """Return a line of the second table."""
    rng, kept = np.random.default_rng(seed), []
    for _ in range(repeats):
        prob, truth, person = calibrated(people, sharpness, rng)

        def expected(rows: Array, prob: Array = prob) -> Any:
            return expected_rule(prob[rows])

        def fitted(kind: Any, prob: Array = prob, truth: Array = truth, person: Array = person) -> Any:
            return lambda rows: fit_bias(prob[rows], truth[rows], person[rows], SPACE, kind=kind, draws=10)

        def apply(rule: Any, rows: Array, prob: Array = prob) -> Array:
            return rule.labels(prob[rows])

        sure = [
            nested_gain(prob, truth, person, person % FOLDS, fit, apply).gain.above_zero
            for fit in (expected, fitted("prior"))
        ]
        single, corrected = ([one > (1 + level) / 2 for one in sure] for level in (LEVEL, family_level(2)))
        kept.append((*single, any(single), any(corrected)))
    return f"| {people} | {sharpness} | " + " | ".join(f"{x:.3f}" for x in np.array(kept, float).mean(axis=0)) + " |"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only-rules", action="store_true")
    given = parser.parse_args()
    print("| people | runs besides the base | no correction | Holm | largest t | best, as listed | chosen on others |")
    print("|---|---|---|---|---|---|---|")
    for people in () if given.only_rules else (100, 400):
        for others in (1, 4, 9):
            print(runs(people, others, given.repeats, given.seed), flush=True)
    print("\n| people | sharpness | expected | prior | either, no correction | either, corrected |")
    print("|---|---|---|---|---|---|")
    for people, sharpness in ((100, 1.5), (400, 1.5), (100, 3.0), (400, 3.0)):
        print(rules(people, sharpness, given.repeats, given.seed), flush=True)


if __name__ == "__main__":
    main()
