"""The error of a network in parts: bias, variance, over-fitted validation and shift.

    error on training people                       bias (with the error that no network avoids, which is unknown)
    + held-out people minus training people        variance
    + without minus with a choice on these people  over-fitted validation
    + sealed people minus held-out people          shift, and choices between runs

An error is 1 - macro-F1. N rows, E epochs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Ints
from maskcls.results.scores.influence import Influence, score_influence
from maskcls.results.scores.intervals import quantile
from maskcls.results.scores.metrics import confusion, macro_f1
from maskcls.results.scores.person_counts import count_people

PartName = Literal["bias", "variance", "over-fitted validation", "shift"]


@dataclass(frozen=True)
class ErrorPart:
    """One part of the error, with a 95 % interval over people, NaN where there is none; `note` says why."""

    name: PartName
    value: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether it was measured."""
        return not math.isnan(self.value)


@dataclass(frozen=True)
class ErrorParts:
    """The error of one labelling.

    name    a task, or "joint".
    train, valid, sealed  the macro-F1 of each set of people; NaN where it was not scored.
    parts   in the order of the module's text.
    """

    name: str
    train: float
    valid: float
    sealed: float
    parts: tuple[ErrorPart, ...]

    @property
    def largest(self) -> ErrorPart | None:
        """The largest part that is known; None if none is."""
        known = [part for part in self.parts if part.known]
        return max(known, key=lambda part: part.value, default=None)


def influence_of(true_N: Ints, pred_N: Ints, person_N: NDArray[Any], classes: int) -> Influence | None:
    """Return the macro-F1 of these rows and how people move it; None without a labelled row."""
    if not (np.asarray(true_N) >= 0).any():
        return None
    return score_influence(count_people(true_N, pred_N, person_N, classes))


def error_parts(
    name: str,
    train: Influence,
    valid: Influence,
    *,
    optimism: ErrorPart,
    sealed: Influence | None = None,
    sealed_note: str = "no people are sealed",
) -> ErrorParts:
    """Return the parts of the error from the scores of three sets of people.

    optimism  the part `over-fitted validation`, from `chosen_on_validation`.
    """
    shift = ErrorPart("shift", math.nan, note=sealed_note)
    if sealed is not None:
        shift = _between("shift", valid, sealed)
    parts = (_bias(train), _between("variance", train, valid), optimism, shift)
    return ErrorParts(name, train.value, valid.value, math.nan if sealed is None else sealed.value, parts)


def _bias(train: Influence) -> ErrorPart:
    reach = quantile(max(train.freedom, 1.0)) * math.sqrt(train.variance + train.few)
    value = 1 - train.value
    return ErrorPart("bias", value, max(0.0, value - reach), min(1.0, value + reach))


def _between(name: PartName, better: Influence, worse: Influence) -> ErrorPart:
    """Return how much lower the score of other people is; the sets of people are taken as independent."""
    value = better.value - worse.value
    spread = math.sqrt(better.variance + better.few + worse.variance + worse.few)
    reach = quantile(max(1.0, min(better.freedom, worse.freedom))) * spread
    return ErrorPart(name, value, value - reach, value + reach)


def chosen_on_validation(
    true_N: Ints,
    pred_EN: Sequence[Ints],
    person_N: NDArray[Any],
    classes: int,
    *,
    seed: int,
    draws: int = 40,
    noun: Noun = PEOPLE,
) -> ErrorPart:
    """Return by how much the score of the best epoch is too high if the same people choose and score it.

    Measured on halves of the people: the epoch that is best on one half is scored there and on the other half. A score
    on half of the people varies more, so the choice gains more there: the value is divided by the square root of 2.
    """
    name: PartName = "over-fitted validation"
    people = np.unique(person_N)
    if len(pred_EN) < 2 or len(people) < 4:
        return ErrorPart(name, math.nan, note=f"needs two epochs and four {noun[1]}")
    who_N = np.searchsorted(people, person_N)
    rng, found = np.random.default_rng(seed), []
    for _ in range(draws):
        half_N = np.isin(who_N, rng.permutation(len(people))[: len(people) // 2])
        scores = [
            [macro_f1(confusion(true_N[rows], pred_N[rows], classes)) for pred_N in pred_EN]
            for rows in (half_N, ~half_N)
        ]
        for own, other in (scores, scores[::-1]):
            best = int(np.nanargmax(own))
            # Against the mean difference of the halves over all epochs, which no choice made.
            found.append(own[best] - other[best] - float(np.mean(own) - np.mean(other)))
    return ErrorPart(name, float(np.mean(found)) / math.sqrt(2), note=f"no interval: halves of the same {noun[1]}")
