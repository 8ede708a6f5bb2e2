"""How often intervals cover the truth, and how wide they are, on drawn people; and the bootstrap they replace.

    python benchmarks/honesty/intervals.py [--repeats 1000] [--draws 300] [--seed 0] [--only NAME] [--new]

Settings differ in the number of people, in how rare classes are, and in how well the network does. Four things are
covered: the macro-F1 on all people (score), that of a new set of people (new), the difference of two networks (null:
equally good; better: one makes 30 % less of the errors), and the accuracy within the rarest joint class (slice).
`--new` checks the intervals of new sets alone, without drawing from the people again.
before: the percentile bootstrap over people (`--draws` per interval; 1,000 in use). The standard error of a coverage
of 95 % in 1,000 repetitions is 0.7 %.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from typing import Any

import numpy as np
from people import BALANCED, CONTEST, RARE, VERY_RARE, Drawn, World, draw, macro_f1_of, world

from maskcls.results.comparison.difference import paired_difference
from maskcls.results.scores.influence import Influence, score_influence
from maskcls.results.scores.intervals import score_interval, score_prediction, share_interval
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.results.scores.person_bootstrap import resampled_macro_f1, resamples
from maskcls.results.scores.person_counts import PersonCounts, count_people

Array = Any
SETTINGS: dict[str, tuple[int, World]] = {
    "60, balanced": (60, world(BALANCED)),
    "60, contest": (60, world(CONTEST)),
    "60, contest, one photo": (60, world(CONTEST, (1, 0, 0), masks=1.0)),
    "150, balanced": (150, world(BALANCED)),
    "150, contest": (150, world(CONTEST)),
    "150, contest, few errors": (150, world(CONTEST, well=True, masks=0.99)),
    "300, contest": (300, world(CONTEST)),
    "300, rare classes": (300, world(RARE)),
    "400, rare classes, few errors": (400, world(RARE, well=True, masks=0.99)),
    "800, contest": (800, world(CONTEST)),
    "800, very rare classes": (800, world(VERY_RARE)),
    **{
        f"{people}, {name}, score {score}": (people, world(shares, well=True, masks=0.999).better(part))
        for people in (400, 150)
        for name, shares, part, score in (
            ("balanced", BALANCED, 0.7, 0.978),
            ("balanced", BALANCED, 0.9, 0.992),
            ("contest", CONTEST, 0.7, 0.978),
            ("contest", CONTEST, 0.9, 0.992),
            ("rare classes", RARE, 0.8, 0.974),
            ("rare classes", RARE, 0.9, 0.986),
        )
    },
}
OTHER_SIZES = (150, 1500)


def macro(truth: Array, label: Array, classes: int) -> float:
    """Return the macro-F1."""
    return macro_f1(confusion(truth, label, classes))


def resampled(counts: list[PersonCounts], draws: int, seed: int) -> list[Array]:
    """Return the macro-F1 of each of these predictions in each draw of people."""
    people = len(counts[0].hits_PC)
    weights = list(resamples(people, draws, seed))
    return [np.concatenate([resampled_macro_f1(w, one.hits_PC, one.marks_PC) for w in weights]) for one in counts]


class Tally:
    """Counts how often intervals cover, and how wide they are."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.found: dict[str, list[tuple[bool, float]]] = defaultdict(list)

    def add(self, name: str, low: float, high: float, truth: float) -> None:
        """Add an interval and what it should cover."""
        self.found[name].append((low <= truth <= high, high - low))

    def cells(self, name: str) -> str:
        """Return coverage and mean width."""
        if name not in self.found:
            return "-"
        covered, width = np.array(self.found[name], dtype=float).mean(axis=0)
        return f"{covered:.3f} ({width:.3f})"


def difference_truth(base: World, other: World, same: float) -> float:
    """Return the true difference in macro-F1 where this share of people gets the same answers."""
    a, b = base.joint(), other.joint()
    return macro_f1_of(same * a + (1 - same) * b) - macro_f1_of(a)


def percentile(value_D: Array) -> tuple[float, float]:
    """Return the middle 95 % of the draws."""
    low, high = np.quantile(value_D, [0.025, 0.975])
    return float(low), float(high)


def one_repeat(tally: Tally, people: int, of: World, draws: int, rng: np.random.Generator) -> None:
    """Draw people once, and check every interval."""
    classes, truth = of.classes, macro_f1_of(of.joint())
    better = of.better(0.3)
    rows = draw([of], people, rng)
    counts = count_people(rows.truth, rows.predicted[0], rows.person, classes)
    found, seed = score_influence(counts), int(rng.integers(1 << 30))
    interval = score_interval(found)
    tally.add("score now", interval.low, interval.high, truth)
    new_sets(tally, people, of, found, rng)
    if not draws:
        return
    (drawn,) = resampled([counts], draws, seed)
    tally.add("score before", *percentile(drawn), truth)
    slice_now(tally, rows, of)
    for name, other, same in (("null", of, 0.5), ("better", better, 0.7)):
        pair, aim = draw([of, other], people, rng, same=same), difference_truth(of, other, same)
        difference = paired_difference(pair.truth, *pair.predicted, pair.person, classes)
        tally.add(f"{name} now", difference.low, difference.high, aim)
        a, b = resampled([count_people(pair.truth, p, pair.person, classes) for p in pair.predicted], draws, seed)
        tally.add(f"{name} before", *percentile(b - a), aim)


def new_sets(tally: Tally, people: int, of: World, found: Influence, rng: np.random.Generator) -> None:
    """Check the intervals of the macro-F1 of new sets of people."""
    for size in (people, *OTHER_SIZES):
        new, expected = draw([of], size, rng), score_prediction(found, size)
        name = "new, same number" if size == people else f"new, {size}"
        tally.add(name, expected.low, expected.high, macro(new.truth, new.predicted[0], of.classes))


def slice_now(tally: Tally, rows: Drawn, of: World) -> None:
    """Check the interval of the accuracy in the rarest group of people without a mask (or the mask there is)."""
    group, mask = int(np.argmin(of.shares)), int(np.flatnonzero(of.photos)[-1])
    of_class = rows.truth == mask * len(of.shares) + group
    interval = share_interval((rows.predicted[0] == rows.truth)[of_class], rows.person[of_class])
    if interval:
        tally.add("slice now", interval.low, interval.high, of.taken[group, group] * of.masks[mask, mask])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--new", action="store_true")
    given = parser.parse_args()
    names = ["score before", "score now", "null before", "null now", "better before", "better now", "slice now"]
    names += ["new, same number", *(f"new, {size}" for size in OTHER_SIZES)]
    print("| people | " + " | ".join(names) + " |\n|---" * 1 + "|---" * len(names) + "|")
    start = time.process_time()
    for name, (people, of) in SETTINGS.items():
        if given.only not in name:
            continue
        tally, rng = Tally(), np.random.default_rng(given.seed)
        for _ in range(given.repeats):
            one_repeat(tally, people, of, 0 if given.new else given.draws, rng)
        print(f"| {name} | " + " | ".join(map(tally.cells, names)) + " |", flush=True)
    print(f"\n{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
