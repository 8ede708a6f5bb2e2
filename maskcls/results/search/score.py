"""The score of a study's best trial: on its own rows it is too high, because it was picked for it on these rows.

Two ways to a score that holds for new people: sealed, on people whom no trial has seen; or corrected, the score on the
rows of the search less what the choice alone adds to it.

T trials, N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.comparison.optimism import optimism_of_best
from maskcls.results.scores.influence import score_influence
from maskcls.results.scores.intervals import LEVEL, Interval, score_interval
from maskcls.results.scores.person_counts import count_people

Honesty = Literal["sealed", "corrected"]


@dataclass(frozen=True)
class SearchScore:
    """The score of the best trial that holds for new people, beside the one that does not.

    how             sealed or corrected.
    macro_f1        of new people; interval: of it.
    naive           macro-F1 on the rows of the search; naive_interval: as if the trial were the only one.
    tried           trials that the choice was made from.
    people          that macro_f1 is about: sealed ones, or those of the search.
    """

    how: Honesty
    macro_f1: float
    interval: Interval
    naive: float
    naive_interval: Interval
    tried: int
    people: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def corrected_score(
    label_TN: Sequence[Ints],
    true_N: Ints,
    person_N: Sequence[str] | NDArray[Any],
    classes: int,
    *,
    tried: int | None = None,
    level: float = LEVEL,
    seed: int = 0,
) -> SearchScore:
    """Return the corrected score of the best of T done trials.

    label_TN  (N,) int per trial, 0..classes-1: its out-of-fold answers, by its own rule, about the same rows.
    true_N    (N,) int, 0..classes-1, or -1 for a row that does not count.
    person_N  (N,) the person on each row.
    tried     trials that were started, pruned ones included; None: T.

    Raises ValueError without a trial, and as `count_people`.
    """
    if not label_TN:
        raise ValueError("no trial is done")
    counts = [count_people(true_N, label_N, person_N, classes) for label_N in label_TN]
    best = max((score_influence(one) for one in counts), key=lambda one: one.value)
    naive = score_interval(best, level)
    less = optimism_of_best(counts, runs=tried, seed=seed).value if len(counts) > 1 else 0.0
    interval = Interval(max(0.0, naive.low - less), max(0.0, naive.high - less), level)
    tried = max(len(counts), tried or 0)
    return SearchScore("corrected", best.value - less, interval, best.value, naive, tried, best.people)
