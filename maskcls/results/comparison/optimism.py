"""How much the best of several runs is flattered by having been picked on the rows that score it.

R runs, P people, D draws. The score of every run is too high or too low by chance: other people would give others. Who
picks the highest picks the luckiest too, so its score is too high for new people (Cawley and Talbot 2010, Journal of
Machine Learning Research 11; for the reuse of held-out rows, Blum and Hardt 2015, arXiv:1502.04585).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.results.scores.influence import difference_influence, score_influence
from maskcls.results.scores.intervals import LEVEL
from maskcls.results.scores.metrics import Doubles
from maskcls.results.scores.person_counts import PersonCounts

DRAWS = 20_000  # the standard error of the mean is below 1 % of the noise of a score


@dataclass(frozen=True)
class Optimism:
    """How much too high the score of the best run is expected to be.

    runs       runs that were tried on these rows; at_hand: those whose rows could be read.
    value      expected excess of the best run's score over what it has on new people, against that of a run chosen
               beforehand; 0 or more.
    low, high  the share LEVEL of the draws lies between: by luck the excess of one choice may be negative.
    """

    runs: int
    at_hand: int
    value: float
    low: float
    high: float


def optimism_of_best(found: Sequence[PersonCounts], *, runs: int | None = None, seed: int = 0) -> Optimism:
    """Return how much picking the best of these runs flatters its score.

    found  the answers of R runs, 2 or more, about the same rows.
    runs   runs that were tried; None: R. Those that are not at hand are taken to differ from each other, in quality and
           by chance, as those at hand do.

    The chance of a score, apart from what all runs share, is drawn from a normal distribution whose covariances follow
    from the people's effects: runs that are right about the same people are lucky together, and gain little by a
    choice. Of classes of few people, who may all be right by chance, it has the share that a difference of two runs has
    (`influence`). The runs' true scores are the observed ones, pulled together until their spread is what is left of
    the observed spread without that of chance (Louis 1984, Journal of the American Statistical Association 79). In
    every draw the best run is picked; the mean of its luck is the answer. Where one run is better by far, it is near 0.
    The order of the runs does not matter.

    Raises ValueError for fewer than two runs.
    """
    at_hand = len(found)
    if at_hand < 2:
        raise ValueError("the best of one run is no choice")
    runs = max(at_hand, runs or 0)
    pairs = sorted(
        ((score_influence(one), one) for one in found), key=lambda two: (two[0].value, two[0].effect_P.tobytes())
    )
    alone, found = [one for one, _ in pairs], [one for _, one in pairs]
    people, score_R = alone[0].people, np.array([one.value for one in alone])
    effect_RP = np.stack([one.effect_P for one in alone])
    if people < 2 or (effect_RP == effect_RP[0]).all():  # the same answers
        return Optimism(runs, at_hand, 0.0, 0.0, 0.0)
    effect_RP -= effect_RP.mean(axis=0)
    few = np.mean([difference_influence([pair]).few for pair in zip(found, [*found[1:], found[0]], strict=True)]) / 2
    centre_RR = np.eye(at_hand) - 1 / at_hand
    covariance_RR = effect_RP @ effect_RP.T * people / (people - 1) + few * centre_RR
    rng = np.random.default_rng(seed)
    luck_DR = _normal(covariance_RR, rng)
    true_R = _without_chance(score_R, float(np.trace(covariance_RR)))
    if runs > at_hand:
        luck_DR, true_R = _with_others(luck_DR, true_R, runs, float(np.trace(covariance_RR)) / (at_hand - 1), rng)
    best_D = (true_R + luck_DR).argmax(axis=1)
    luck_D = luck_DR[np.arange(DRAWS), best_D]
    low, high = np.quantile(luck_D, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Optimism(runs, at_hand, max(0.0, float(luck_D.mean())), low, high)


def _normal(covariance_RR: Doubles, rng: np.random.Generator) -> Doubles:
    """Draw (D, R) from a normal distribution with mean 0."""
    value_R, vector_RR = np.linalg.eigh(covariance_RR)
    root_RR = vector_RR * np.sqrt(np.maximum(value_R, 0))
    drawn_DR: Doubles = rng.standard_normal((DRAWS, len(value_R))) @ root_RR.T
    return drawn_DR


def _without_chance(score_R: Doubles, chance: float) -> Doubles:
    """Return the scores pulled towards their mean, so that their squares around it sum to those of the truth.

    chance  the sum of squares that chance alone is expected to give.

    >>> _without_chance(np.array([0.5, 0.6, 0.7]), 0.015).round(3).tolist()  # a quarter of 0.02 is left
    [0.55, 0.6, 0.65]
    """
    away_R = score_R - score_R.mean()
    square = float((away_R**2).sum())
    kept = math.sqrt(max(0.0, 1 - chance / square)) if square > 0 else 0.0
    pulled_R: Doubles = score_R.mean() + kept * away_R
    return pulled_R


def _with_others(
    luck_DR: Doubles, true_R: Doubles, runs: int, variance: float, rng: np.random.Generator
) -> tuple[Doubles, Doubles]:
    """Add runs that are not at hand: true scores of those that are, in turn, and luck of their own.

    variance  of a run's luck, apart from what all runs share.
    """
    at_hand, others = len(true_R), runs - len(true_R)
    shared_D1 = rng.normal(0, math.sqrt(variance / at_hand), (DRAWS, 1))  # the mean luck that was taken out of theirs
    other_DR = rng.normal(0, math.sqrt(variance), (DRAWS, others))
    return np.concatenate([luck_DR + shared_D1, other_DR], axis=1), np.concatenate([true_R, np.resize(true_R, others)])
