"""Comparison of test-time views: single views, named sets and a greedy choice, on the same out-of-fold rows.

N out-of-fold rows, J joint classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats, Ints
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.crossfit import cross_fit
from maskcls.results.predicted.view_means import mean_over_views
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.viewnames import SETS, SINGLE, ViewMean, parse_views


@dataclass(frozen=True)
class TriedViews:
    """One set of views. cost: forward passes per photo; gain: over the unchanged view, on the same rows."""

    name: str
    cost: int
    macro_f1: float
    gain: Difference


@dataclass(frozen=True)
class ViewSearch:
    """Test-time views compared on the same rows.

    none    macro-F1 of the unchanged view alone.
    chosen  the views that a greedy search adds one by one while the score rises.
    honest  the gain of such a choice on people it was not made on.
    """

    none: float
    tried: list[TriedViews]
    chosen: TriedViews
    honest: Difference
    rows: int
    people: int

    @property
    def pays(self) -> bool:
        """Whether the choice is better than the unchanged view, with an interval above 0."""
        return self.honest.low > 0


def compare_views(
    prob_by_view: Mapping[str, Floats],
    truth_N: Ints,
    people_N: NDArray[Any],
    fold_N: Ints,
    classes: int,
    mean: ViewMean = "arithmetic",
) -> ViewSearch:
    """Compare the views, given the probabilities (N, J) of each single one for the same out-of-fold rows."""
    unchanged_N = prob_by_view["none"].argmax(axis=1)

    def tried(names: Sequence[str], name: str) -> TriedViews:
        labels = mean_of(prob_by_view, names, mean).argmax(axis=1)
        gain = paired_difference(truth_N, unchanged_N, labels, people_N, classes)
        return TriedViews(name, len(names), macro_f1(confusion(truth_N, labels, classes)), gain)

    def choose(rows: Ints) -> tuple[str, ...]:
        return greedy({name: prob[rows] for name, prob in prob_by_view.items()}, truth_N[rows], classes, mean)

    def apply(names: tuple[str, ...], rows: Ints) -> Ints:
        labels: Ints = mean_of(prob_by_view, names, mean)[rows].argmax(axis=1)
        return labels

    names = choose(np.arange(len(truth_N)))
    honest = paired_difference(truth_N, unchanged_N, cross_fit(fold_N, choose, apply), people_N, classes)
    known = [tried(parse_views(name), name) for name in SETS] + [tried((name,), name) for name in SINGLE[1:]]
    score = macro_f1(confusion(truth_N, unchanged_N, classes))
    return ViewSearch(
        score,
        known,
        tried(names, "+".join(names)),
        honest,
        len(truth_N),
        len(set(people_N.tolist())),
    )


def greedy(
    prob_by_view: Mapping[str, Floats], truth_N: Ints, classes: int, mean: ViewMean = "arithmetic"
) -> tuple[str, ...]:
    """Return the unchanged view and, one by one, those that raise the macro-F1 of the mean most, until none does."""
    taken: tuple[str, ...] = ("none",)
    best = macro_f1(confusion(truth_N, prob_by_view["none"].argmax(axis=1), classes))
    while left := [name for name in prob_by_view if name not in taken]:
        scores = {
            n: macro_f1(confusion(truth_N, mean_of(prob_by_view, (*taken, n), mean).argmax(axis=1), classes))
            for n in left
        }
        name = max(scores, key=lambda n: scores[n])  # the first of equals
        if not scores[name] > best:
            break
        taken, best = (*taken, name), scores[name]
    return taken


def mean_of(prob_by_view: Mapping[str, Floats], names: Sequence[str], mean: ViewMean = "arithmetic") -> Floats:
    """Return the mean (N, J) over these views."""
    return mean_over_views(np.stack([prob_by_view[name] for name in names]), mean)
