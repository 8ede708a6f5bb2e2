"""The score of a study's best trial for new people: on its own rows it is too high, because it was chosen on them.

Two ways: sealed, measured on people whom no trial has seen; or corrected, the score on the rows of the search less what
the choice adds to it. Coverage of both was measured: docs/adr/0057-the-score-of-a-search.md.

T trials, N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.scores.influence import score_influence
from maskcls.results.scores.intervals import LEVEL, Interval, score_interval
from maskcls.results.scores.person_counts import count_people
from maskcls.results.search.choice import excess_of_choice

ScoreKind = Literal["sealed", "corrected"]


@dataclass(frozen=True)
class SearchScore:
    """The score of the best trial for new people, beside that on the rows of the search.

    how       sealed or corrected.
    macro_f1  for new people; interval: of it.
    naive     on the rows of the search; naive_interval: as if the trial were the only one.
    tried     trials that the choice was made from, pruned ones included.
    people    that macro_f1 is measured on: sealed ones, or those of the search.
    """

    how: ScoreKind
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
    """Return the score of the best of T done trials, less what the choice adds to it.

    The interval is that of a single trial around the corrected score. Pruned trials are left out of the resampling:
    they were far from being chosen. A sampler that looks where scores are high finds settings that suit these people;
    that is not corrected, and stayed within the interval in the simulations.

    label_TN  (N,) int per trial, 0..classes-1: its out-of-fold answers, by its own rule, about the same rows.
    true_N    (N,) int, 0..classes-1, or -1 for a row that does not count.
    person_N  (N,) the person on each row.
    tried     trials that were started, pruned ones included; None: T.

    The order of the rows does not matter. Raises ValueError without a trial, and as `count_people`.
    """
    if not label_TN:
        raise ValueError("no trial is done")
    found = [score_influence(count_people(true_N, label_N, person_N, classes)) for label_N in label_TN]
    found.sort(key=lambda one: (-one.value, one.effect_P.tobytes()))
    score_T, effect_TP = np.array([one.value for one in found]), np.stack([one.effect_P for one in found])
    excess, best = excess_of_choice(score_T, effect_TP, seed=seed), found[0]
    interval = score_interval(replace(best, bias=best.bias + excess), level)
    tried = max(len(found), tried or 0)
    naive = best.value, score_interval(best, level)
    return SearchScore("corrected", max(0.0, best.value - excess), interval, *naive, tried, best.people)
