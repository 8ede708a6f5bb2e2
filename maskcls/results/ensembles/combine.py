"""Combine several predictions of the same rows: means, votes, ranks, or each task from another member.

N rows, C classes of one task, J joint classes, M members. Members are joined by id and read one after the other, so a
million rows need the memory of a few members, for any M. Sums are taken in float64. What may be chosen here (the
rule, the weights) is chosen on out-of-fold rows; see `weighting` and `crossfit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, assert_never

import numpy as np

from maskcls.errors import UsageError
from maskcls.labels import Floats, LabelSpace
from maskcls.results.predictions import Predictions, check_same_space, member_names
from maskcls.results.scores.metrics import Doubles

Method = Literal["mean", "geometric", "vote", "rank"]
Weights = Doubles | Mapping[str, Doubles]  # (M,), or {task: (M,)}

FLOOR = 1e-7  # about the precision of float32: without it one member's hard 0 would overrule all the others
TIE = 0.5  # what the mean counts beside whole votes: below 1, so it decides ties and nothing else


def combine(members: Sequence[Predictions], method: Method, *, names: Sequence[str] = ()) -> Predictions:
    """Join M members by a rule that has nothing to choose; ids and their order are the first member's.

    method  mean       arithmetic mean of the probabilities.
            geometric  see `geometric_mean`.
            vote       see `majority`.
            rank       see `rank_mean`.
    names   what to call the members in a message, one each.

    The lineage names the method and lists the members' lineages; `mean` is `Predictions.mean` itself.
    Raises DataError when a member's ids differ from the first's, WeightsError when its label space does.
    """
    parts = _aligned(members, names)
    match method:
        case "mean":
            return Predictions.mean(members, names=names)
        case "geometric":
            prob_NJ = geometric_mean(parts)
        case "vote":
            prob_NJ = majority(parts)
        case "rank":
            prob_NJ = rank_mean(parts)
        case _:
            assert_never(method)
    return _joined(members, prob_NJ, {"method": method})


def combine_weighted(members: Sequence[Predictions], weights: Weights, *, names: Sequence[str] = ()) -> Predictions:
    """Take the weighted mean of M members, of the joint classes or of each task on its own.

    weights  (M,) for the joint classes, or {task: (M,)} with every task of the space: see `weighted_mean` and
             `weighted_tasks`. Not negative, not all 0; they are divided by their sum.
    names    as for `combine`.

    The lineage holds the weights as they were used. Raises UsageError for other weights, else as `combine` does.
    """
    names, space = member_names(members, names), members[0].space
    if isinstance(weights, Mapping):
        _check_tasks(weights, space)
        by_task = {task: to_shares(weights[task], len(members), where=f"task {task}") for task in space.names}
        prob_NJ = weighted_tasks(_aligned(members, names), by_task, space)
        used: Any = {task: weights_M.tolist() for task, weights_M in by_task.items()}
    else:
        weights_M = to_shares(weights, len(members))
        prob_NJ = weighted_mean(_aligned(members, names), weights_M)
        used = weights_M.tolist()
    return _joined(members, prob_NJ, {"method": "weighted", "weights": used})


def combine_tasks(sources: Mapping[str, Predictions], *, names: Mapping[str, str] | None = None) -> Predictions:
    """Take each task's probabilities from the member that is best at it, and multiply them as if independent.

    sources  {task: member}, every task of the members' common label space. One member may be given for several tasks;
             how its joint probabilities tied those tasks together is lost.
    names    {task: what to call its member} in a message; the task's name by default.

    Ids and their order are those of the first task's member. Raises UsageError when a task has no member, else as
    `combine` does.
    """
    space = next(iter(sources.values())).space if sources else LabelSpace(())
    _check_tasks(sources, space)
    members = [sources[task] for task in space.names]
    called = [(names or {}).get(task, f"the member for {task}") for task in space.names]
    parts = zip(space.names, _aligned(members, called), strict=True)
    prob_NJ = space.compose({task: space.marginals(part_NJ)[task] for task, part_NJ in parts})
    return _joined(members, prob_NJ, {"method": "tasks", "tasks": list(space.names)})


# ---- the same on arrays: (N, J) of each member, in the same order of rows ------------------------------------------


def weighted_mean(prob_MNJ: Iterable[Floats], weights_M: Doubles) -> Floats:
    """Return the weighted mean (N, J) float32 of M arrays (N, J); the weights sum to 1.

    >>> weighted_mean([np.eye(2, dtype=np.float32), np.full((2, 2), 0.5, dtype=np.float32)], np.array([0.5, 0.5]))
    array([[0.75, 0.25],
           [0.25, 0.75]], dtype=float32)
    """
    pairs = zip(weights_M.tolist(), prob_MNJ, strict=True)
    total_NJ, _ = _total(np.multiply(prob_NJ, weight, dtype=np.float64) for weight, prob_NJ in pairs)
    return total_NJ.astype(np.float32)


def weighted_tasks(prob_MNJ: Iterable[Floats], weights: Mapping[str, Doubles], space: LabelSpace) -> Floats:
    """Return (N, J) float32: every task's marginals averaged with its own weights (M,), then multiplied.

    A joint head's ties between tasks are lost. With all weight on one member for mask and all on another for age, each
    is believed in what it is best at.
    """
    total: dict[str, Doubles] = {}
    for member, prob_NJ in enumerate(prob_MNJ):
        for task, prob_NC in space.marginals(prob_NJ).items():
            part_NC = np.multiply(prob_NC, weights[task][member], dtype=np.float64)
            total[task] = total[task] + part_NC if task in total else part_NC
    return space.compose({task: prob_NC.astype(np.float32) for task, prob_NC in total.items()})


def geometric_mean(prob_MNJ: Iterable[Floats]) -> Floats:
    """Return exp of the mean logarithm, rows divided by their sum, (N, J) float32.

    A member that is sure a class is wrong weighs more here than in the arithmetic mean. Probabilities below 1e-7 count
    as 1e-7.
    """
    floor = np.float32(FLOOR)
    mean_NJ, members = _total(np.log(np.maximum(prob_NJ, floor), dtype=np.float64) for prob_NJ in prob_MNJ)
    mean_NJ /= members
    mean_NJ -= mean_NJ.max(axis=1, keepdims=True)  # so that no row vanishes in exp
    return _rows_to_one(np.exp(mean_NJ, out=mean_NJ))


def majority(prob_MNJ: Iterable[Floats]) -> Floats:
    """Let every member give its most probable class one vote; return (votes + mean / 2) / (M + 1 / 2), (N, J) float32.

    The maximum of a row is the class with most votes; among classes with as many votes that of the highest mean
    probability; among those the lowest. A member whose own maximum is shared votes for the lowest class.

    >>> a, b = np.array([[0.6, 0.4]], dtype=np.float32), np.array([[0.1, 0.9]], dtype=np.float32)
    >>> majority([a, b]).argmax(axis=1)  # one vote each, and means of 0.35 and 0.65
    array([1])
    """
    both_2NJ, members = _total(np.stack([_one_hot(prob_NJ), prob_NJ]) for prob_NJ in prob_MNJ)
    votes_NJ, total_NJ = both_2NJ
    total_NJ *= TIE / members
    votes_NJ += total_NJ
    votes_NJ /= members + TIE
    return _keep_maxima(votes_NJ)


def rank_mean(prob_MNJ: Iterable[Floats]) -> Floats:
    """Replace each probability by its row's rank among all rows of that class, and average; (N, J) float32.

    Rank over number of rows, equal probabilities sharing their mean rank; then rows are divided by their sum. This
    makes members comparable whose probabilities are not, but it also forgets how common a class is: every class is as
    often at the top. A row's result depends on the other rows.
    """
    from scipy.stats import rankdata  # seconds to import

    def ranks(prob_NJ: Floats) -> Doubles:
        return np.stack([rankdata(column_N) for column_N in prob_NJ.T], axis=1) / len(prob_NJ)

    return _rows_to_one(_total(ranks(prob_NJ) for prob_NJ in prob_MNJ)[0])


def to_shares(weights: Sequence[float] | Doubles, members: int, *, where: str | None = None) -> Doubles:
    """Return weights divided by their sum, (M,) float64; UsageError unless there are M, finite, >= 0, and one is not 0.

    >>> to_shares([2, 1, 1], 3)
    array([0.5 , 0.25, 0.25])
    """
    weights_M = np.asarray(weights, dtype=np.float64)
    good = weights_M.shape == (members,) and np.isfinite(weights_M).all() and (weights_M >= 0).all() and weights_M.any()
    if not good:
        raise UsageError(
            "these are no weights for the members",
            where=where,
            got=f"{weights_M.tolist()}",
            expected=f"{members} numbers of at least 0, not all 0",
            fix="give one weight per member, in the order of the members",
        )
    shares_M: Doubles = weights_M / weights_M.sum()
    return shares_M


def _aligned(members: Sequence[Predictions], names: Sequence[str]) -> Iterator[Floats]:
    """Yield each member's probabilities in the order of the first one's ids."""
    names, first = member_names(members, names), members[0]
    for member, name in zip(members, names, strict=True):
        check_same_space(first, member, (names[0], name))
        yield member.align(first.ids, names=(name, names[0])).prob


def _joined(members: Sequence[Predictions], prob_NJ: Floats, how: Mapping[str, Any]) -> Predictions:
    lineage = {"ensemble": dict(how), "members": [member.lineage for member in members]}
    return Predictions(members[0].ids, prob_NJ, members[0].space, lineage)


def _check_tasks(given: Mapping[str, Any], space: LabelSpace) -> None:
    if not given or set(given) != set(space.names):
        raise UsageError(
            "every task needs its own entry",
            got=", ".join(given) or "nothing",
            expected=", ".join(space.names) or "at least one task",
            fix="name each task once",
        )


def _total(parts: Iterable[Doubles]) -> tuple[Doubles, int]:
    """Add float64 arrays up, into the first, and count them; ValueError when there is none."""
    total_NJ, members = None, 0
    for members, part_NJ in enumerate(parts, 1):  # noqa: B007  the last number is the count
        if total_NJ is None:
            total_NJ = part_NJ
        else:
            total_NJ += part_NJ
    if total_NJ is None:
        raise ValueError("no members to join")
    return total_NJ, members


def _one_hot(prob_NJ: Floats) -> Doubles:
    one_NJ: Doubles = np.eye(prob_NJ.shape[1])[prob_NJ.argmax(axis=1)]
    return one_NJ


def _rows_to_one(value_NJ: Doubles) -> Floats:
    value_NJ /= value_NJ.sum(axis=1, keepdims=True)
    return value_NJ.astype(np.float32)


def _keep_maxima(prob_NJ: Doubles) -> Floats:
    """Return float32 with the same maximum in each row, also where the second is nearer than float32 can tell."""
    best_N, rounded_NJ = prob_NJ.argmax(axis=1), prob_NJ.astype(np.float32)
    rows_N = np.flatnonzero(rounded_NJ.argmax(axis=1) != best_N)
    rounded_NJ[rows_N, best_N[rows_N]] = np.nextafter(rounded_NJ[rows_N, best_N[rows_N]], np.float32(2))
    return rounded_NJ
