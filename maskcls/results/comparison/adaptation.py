"""Adaptation compared with plain predictions on the same out-of-fold rows. N rows, J joint classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.comparison.multiple import family_level
from maskcls.results.scores.metrics import confusion, macro_f1

Verdict = Literal["helps", "does not help", "not shown"]


@dataclass(frozen=True)
class TriedAdaptation:
    """One way to adapt. gain: over plain predictions of the same photos, with its interval over people."""

    name: str
    macro_f1: float
    gain: Difference

    @property
    def verdict(self) -> Verdict:
        """`helps` with the whole interval above 0, `does not help` with none of it above 0, otherwise `not shown`."""
        if self.gain.low > 0:
            return "helps"
        return "does not help" if self.gain.high <= 0 else "not shown"


@dataclass(frozen=True)
class AdaptationTrial:
    """Ways to adapt compared on out-of-fold rows, under a planted shift.

    shift    what was planted in the photos; `none`: nothing.
    none     macro-F1 of the plain predictions of these photos.
    skipped  by method, why it was not tried.
    """

    shift: str
    none: float
    tried: tuple[TriedAdaptation, ...]
    skipped: Mapping[str, str]
    rows: int
    people: int


def compare_adaptations(
    plain_N: Ints,
    label_by_method: Mapping[str, Ints],
    truth_N: Ints,
    people_N: NDArray[Any],
    classes: int,
    *,
    shift: str,
    skipped: Mapping[str, str],
) -> AdaptationTrial:
    """Compare labels (N,) of each method with plain ones; the level of the intervals counts the methods."""
    level = family_level(len(label_by_method))
    tried = tuple(
        TriedAdaptation(
            name,
            macro_f1(confusion(truth_N, label_N, classes)),
            paired_difference(truth_N, plain_N, label_N, people_N, classes, level=level),
        )
        for name, label_N in label_by_method.items()
    )
    plain = macro_f1(confusion(truth_N, plain_N, classes))
    return AdaptationTrial(shift, plain, tried, dict(skipped), len(truth_N), len(set(people_N.tolist())))
