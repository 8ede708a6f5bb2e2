"""Select the predictions of unlabelled photos that are confident enough to train on.

References: Lee 2013, "Pseudo-Label", ICML workshop (the threshold); Zou et al. 2018, arXiv:1810.07911 (a share of each
class, so that easy classes do not crowd out the rare ones).

N photos, J joint classes, C classes of a task, T tasks in the space's order, S sources: networks and views that
predicted the same photos. A row's class in a task is the maximum of that task's marginal, the lowest index on a tie;
these classes together are its joint class. Equal input gives equal output, in any order of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import assert_never

import numpy as np

from maskcls.labels import Bools, Floats, Ints, LabelSpace
from maskcls.results.predictions import Predictions, Texts
from maskcls.results.pseudo.selection_rule import SelectionRule
from maskcls.results.scores.metrics import Doubles

ROUNDING = 1e-9  # 0.29 * 100 is a hair below 29 and means 29


class Outcome(IntEnum):
    """Why one task of a row was taken or left out. A row as a whole has the lowest of its tasks' outcomes."""

    TAKEN = 0
    BALANCE = 1
    CAP = 2
    AGREEMENT = 3
    THRESHOLD = 4


@dataclass(frozen=True, eq=False)
class Selection:
    """What was decided about every row.

    mean           the sources' mean, with the ids.
    label_TN       int64, the class of each task.
    confidence_TN  float64 in [0, 1], its marginal probability.
    confidence_N   float64 in [0, 1], all tasks combined: what caps go by.
    outcome_TN     (T, N) int64, an `Outcome` for each task.
    """

    mean: Predictions
    label_TN: Ints
    confidence_TN: Doubles
    confidence_N: Doubles
    outcome_TN: Ints


def select(ids: Texts, prob_SNJ: Floats, space: LabelSpace, rule: SelectionRule) -> Selection:
    """Decide about every row from its sources' predictions.

    The order is: thresholds and agreement, then caps, then balance or prior among what is left. A row that fails both
    the threshold and the agreement counts as failing the threshold.

    Raises ResultError for a repeated id or probabilities that are none, ValueError for wrong shapes.
    """
    prob_NJ, agree_TN = source_agreement(prob_SNJ, space, share=rule.agree)
    mean = Predictions(ids, prob_NJ, space)
    label_TN, confidence_TN = _choices(prob_NJ, space)
    rows = zip(space.names, label_TN, strict=True)
    floor_TN = np.stack([np.array(rule.thresholds[name], dtype=np.float32)[label_N] for name, label_N in rows])
    sure_TN = confidence_TN.astype(np.float32) >= floor_TN  # as float32, or a probability of 0.9 would miss 0.9
    if not rule.partial:
        sure_TN, agree_TN = (np.broadcast_to(ok_TN.all(axis=0), ok_TN.shape) for ok_TN in (sure_TN, agree_TN))
    outcome_TN = np.select([~sure_TN, ~agree_TN], [Outcome.THRESHOLD, Outcome.AGREEMENT], Outcome.TAKEN)
    confidence_N = combined_confidence(confidence_TN, np.ones_like(sure_TN), rule)
    joint_N = space.encode(dict(zip(space.names, label_TN, strict=True)))
    for verdict, limit in _limits(rule, np.bincount(joint_N, minlength=space.size)):
        taken_N = (outcome_TN == Outcome.TAKEN).any(axis=0)
        limit_J = limit(np.bincount(joint_N[taken_N], minlength=space.size))
        over_N = taken_N & ~most_confident(joint_N, confidence_N, mean.ids, taken_N, limit_J)
        outcome_TN[(outcome_TN == Outcome.TAKEN) & over_N] = verdict
    return Selection(mean, label_TN, confidence_TN, confidence_N, outcome_TN.astype(np.int64))


def source_agreement(prob_SNJ: Floats, space: LabelSpace, *, share: float) -> tuple[Floats, Bools]:
    """Return the sources' mean, and for each task whether enough of them name the class the mean names.

    prob_SNJ  float, joint probabilities of S sources.
    share     least share of the sources, in [0, 1]; 1 = all.

    Returns the mean (N, J) float32, summed in float64, and (T, N) bool. Raises ValueError for another shape.
    """
    if prob_SNJ.ndim != 3 or prob_SNJ.shape[-1] != space.size or not len(prob_SNJ):
        raise ValueError(f"{prob_SNJ.shape} are not (sources, photos, {space.size}) probabilities")
    sources, photos, _ = prob_SNJ.shape
    mean_NJ = prob_SNJ.mean(axis=0, dtype=np.float64).astype(np.float32)
    label_TN, _ = _choices(mean_NJ, space)
    voted_TSN = _choices(prob_SNJ.reshape(-1, space.size), space)[0].reshape(-1, sources, photos)
    votes_TN = (voted_TSN == label_TN[:, None]).sum(axis=1)
    return mean_NJ, votes_TN >= math.ceil(share * sources - ROUNDING)


def most_confident(joint_N: Ints, confidence_N: Doubles, ids: Texts, taken_N: Bools, limit_J: Ints) -> Bools:
    """Keep of the taken rows at most limit_J[j] of each joint class j, the most confident, on a tie the first by id."""
    rows = np.flatnonzero(taken_N)
    rows = rows[np.lexsort((ids[rows], -confidence_N[rows], joint_N[rows]))]
    first_J = np.searchsorted(joint_N[rows], np.arange(len(limit_J)))
    keep_N = np.zeros_like(taken_N)
    keep_N[rows] = np.arange(len(rows)) - first_J[joint_N[rows]] < limit_J[joint_N[rows]]
    return keep_N


def balanced(count_J: Ints, times: float) -> Ints:
    """Return the limits (J,) at which no class has more than `times` the rows of the rarest that has any.

    >>> balanced(np.array([9, 0, 2, 4]), 1.5).tolist()
    [3, 3, 3, 3]
    """
    rarest = min(count_J[count_J > 0], default=0)
    return np.full_like(count_J, math.floor(times * rarest + ROUNDING))


def in_proportion(count_J: Ints, prior_J: Sequence[float]) -> Ints:
    """Return the highest limits (J,) in proportion to `prior_J` that the classes with any row can fill.

    >>> in_proportion(np.array([9, 0, 2, 4]), (3, 1, 1, 0)).tolist()
    [6, 2, 2, 0]
    """
    if len(prior_J) != len(count_J):
        raise ValueError(f"{len(prior_J)} shares for {len(count_J)} joint classes")
    total = min((n / share for n, share in zip(count_J.tolist(), prior_J, strict=True) if n and share), default=0.0)
    return np.floor(total * np.asarray(prior_J) + ROUNDING).astype(np.int64)


def _choices(prob_NJ: Floats, space: LabelSpace) -> tuple[Ints, Doubles]:
    """Return each task's most probable class and its marginal probability, (T, N) both."""
    marginals = space.marginals(prob_NJ).values()
    label_TN = np.stack([prob_NC.argmax(axis=1) for prob_NC in marginals]).astype(np.int64)
    highest_TN = np.stack([prob_NC.max(axis=1) for prob_NC in marginals]).astype(np.float64)
    return label_TN, np.minimum(highest_TN, 1)  # rows may sum to a little more than 1


def combined_confidence(confidence_TN: Doubles, which_TN: Bools, rule: SelectionRule) -> Doubles:
    """Return the product or the minimum (N,) over the tasks marked."""
    counted_TN = np.where(which_TN, confidence_TN, 1.0)
    match rule.combine:
        case "product":
            row_N: Doubles = counted_TN.prod(axis=0)
        case "minimum":
            row_N = counted_TN.min(axis=0)
        case _:
            assert_never(rule.combine)
    return row_N


def _limits(rule: SelectionRule, considered_J: Ints) -> Iterator[tuple[Outcome, Callable[[Ints], Ints]]]:
    """Yield what the rule asks for, in order: the verdict on rows over the limits, and the limits for given counts."""
    if (most := rule.cap_rows) is not None:
        yield Outcome.CAP, lambda count_J: np.full_like(count_J, most)
    if (share := rule.cap_share) is not None:
        yield Outcome.CAP, lambda _: np.floor(share * considered_J + ROUNDING).astype(np.int64)
    if (times := rule.balance) is not None:
        yield Outcome.BALANCE, lambda count_J: balanced(count_J, times)
    if (prior := rule.prior) is not None:
        yield Outcome.BALANCE, lambda count_J: in_proportion(count_J, prior)
