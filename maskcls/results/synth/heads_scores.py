"""Scores of heads fitted with interpolated examples, and of the same heads without them, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.scores.intervals import Interval, macro_f1_intervals
from maskcls.results.scores.metrics import confusion, macro_f1

MIXED, PLAIN, BALANCED, TRAINED = "mixed", "plain", "balanced", "trained"


@dataclass(frozen=True)
class ScoredHeads:
    """Macro-F1 of one kind of heads, with its interval over people.

    name  mixed: fitted with interpolated examples. plain: without. balanced: without, with equal weight for every
          class. trained: those of the run, as they were trained.
    gain  the score of the mixed heads minus this one; None for the mixed heads.
    """

    name: str
    macro_f1: float
    interval: Interval
    gain: Difference | None = None


@dataclass(frozen=True)
class HeadsComparison:
    """The mixed heads, and the others. people: number of people on the rows."""

    mixed: ScoredHeads
    others: tuple[ScoredHeads, ...]
    people: int

    @property
    def helped(self) -> bool:
        """Whether the mixed heads are better than the plain and the balanced ones, by the intervals of the gains."""
        gains = [one.gain for one in self.others if one.name in (PLAIN, BALANCED)]
        return all(gain is not None and gain.low > 0 for gain in gains)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"helped": self.helped, **asdict(self)}


def heads_comparison(
    truth_N: Ints, mixed_N: Ints, others: Mapping[str, Ints], person_N: Ints | Sequence[str], classes: int
) -> HeadsComparison:
    """Compare predicted joint labels (N,) of several kinds of heads with those of the mixed heads.

    truth_N  0..C-1, or -1 for a row to leave out. person_N: the person on each row. classes: C.
    """

    def scored(name: str, label_N: Ints, gain: Difference | None) -> ScoredHeads:
        interval = macro_f1_intervals(truth_N, label_N, person_N, classes).confidence
        return ScoredHeads(name, macro_f1(confusion(truth_N, label_N, classes)), interval, gain)

    return HeadsComparison(
        scored(MIXED, mixed_N, None),
        tuple(
            scored(name, label_N, paired_difference(truth_N, label_N, mixed_N, person_N, classes))
            for name, label_N in others.items()
        ),
        len(set(person_N)),
    )
