"""Several runs of the same rows against the first: differences that hold together, and the honest score of the best.

N rows, R runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Ints
from maskcls.results.comparison.difference import paired_influence
from maskcls.results.comparison.multiple import Simultaneous, simultaneous
from maskcls.results.comparison.optimism import Optimism
from maskcls.results.ensembles.rival import nested_rival
from maskcls.results.scores.metrics import confusion, macro_f1


@dataclass(frozen=True)
class Best:
    """The best of several runs.

    here    its macro-F1 on the rows that it was chosen on: too high.
    others  macro-F1 of the best of them when it is chosen on other people than those it is scored on.
    chosen  {number of a run: number of folds for which it was chosen}.
    """

    here: float
    others: float
    chosen: Mapping[int, int]


@dataclass(frozen=True)
class ManyComparison:
    """R runs of the same rows. scores: of each; differences: of all but the first, to the first.

    tried  comparisons that were made on these rows, these included; kept: the register could be written.
    noun   what the groups of the rows are called.
    optimism  how much picking the best of the tried runs flatters its score; None where it was not computed.
    """

    names: Sequence[str]
    rows: int
    people: int
    scores: Sequence[float]
    differences: Sequence[Simultaneous]
    best: Best
    tried: int = 0
    kept: bool = True
    noun: Noun = PEOPLE
    optimism: Optimism | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        differences = [
            {"run": name, **asdict(one.difference), "p": one.p}
            for name, one in zip(self.names[1:], self.differences, strict=True)
        ]
        runs = [{"run": name, "macro_f1": value} for name, value in zip(self.names, self.scores, strict=True)]
        chosen = {self.names[place]: folds for place, folds in self.best.chosen.items()}
        best = {"here": self.best.here, "others": self.best.others, "chosen": chosen}
        data = {"runs": runs, "rows": self.rows, "people": self.people, "differences": differences, "best": best}
        return data | {"comparisons": self.tried, "optimism": self.optimism and asdict(self.optimism)}


def best_of(labels_RN: Sequence[Ints], true_N: Ints, fold_N: Ints, classes: int) -> Best:
    """Score the best of R runs on the rows it was chosen on, and on other people.

    fold_N  (N,) int, at least two different; parts of the people. Raises ValueError as `nested_rival`.
    """
    rival = nested_rival(labels_RN, true_N, fold_N, classes)
    here = max(macro_f1(confusion(true_N, label_N, classes)) for label_N in labels_RN)
    return Best(here, rival.macro_f1, rival.chosen)


def compare_many(
    names: Sequence[str],
    labels_RN: Sequence[Ints],
    true_N: Ints,
    person_N: NDArray[Any],
    fold_N: Ints,
    classes: int,
) -> ManyComparison:
    """Compare two or more runs with the first one.

    labels_RN  R arrays (N,) int, 0..classes-1, of the same rows; true_N: -1 for a row that does not count.
    """
    first, *others = labels_RN
    moved = [paired_influence(true_N, first, label_N, person_N, classes) for label_N in others]
    scores = [macro_f1(confusion(true_N, label_N, classes)) for label_N in labels_RN]
    best = best_of(labels_RN, true_N, fold_N, classes)
    return ManyComparison(names, len(true_N), len(np.unique(person_N)), scores, simultaneous(moved), best)
