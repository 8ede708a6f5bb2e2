"""Search the weights of an ensemble on out-of-fold rows, and cross-fit them for an unbiased score.

N rows, C classes of one task, J joint classes, M members. Members are M arrays of probabilities, (N, J), of the same
rows in the same order. A score on the rows that the weights were searched on is biased upwards: `nested_weights`
gives what to report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from maskcls.errors import ResultError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.crossfit import cross_fit_members
from maskcls.results.ensembles.combine import FLOOR, Weights, weighted_mean, weighted_tasks
from maskcls.results.scores.metrics import Doubles, confusion, macro_f1

Search = Literal["greedy", "bagged", "convex", "convex-tasks"]

GREEDY_ROUNDS = 50  # weights in steps of a fiftieth
BAGS, BAG_ROUNDS = 10, 25
CONVEX_TOLERANCE = 1e-5  # nats of mean log loss above the best possible


def search_weights(
    search: Search, prob_MNJ: Sequence[Floats], truth: Mapping[str, Ints], space: LabelSpace, *, seed: int = 0
) -> Weights:
    """Search weights on out-of-fold rows.

    search  greedy        see `greedy_weights`, on the joint classes.
            bagged        see `bagged_weights`, on the joint classes.
            convex        see `convex_weights`, on the joint classes.
            convex-tasks  the same on each task's marginals, over the rows where that task is known.
    truth   {task: (N,) int64}, -1 = unknown.
    seed    what `bagged` draws by; the others draw nothing.

    Returns (M,), or {task: (M,)} for `convex-tasks`; `combine_weighted` takes either.
    """
    match search:
        case "greedy":
            return greedy_weights(prob_MNJ, space.encode(truth))
        case "bagged":
            return bagged_weights(prob_MNJ, space.encode(truth), seed=seed)
        case "convex":
            return convex_weights(prob_MNJ, space.encode(truth))
        case "convex-tasks":
            marginals = [space.marginals(prob_NJ) for prob_NJ in prob_MNJ]
            return {task: convex_weights([of[task] for of in marginals], truth[task]) for task in space.names}
        case _:
            assert_never(search)


def nested_weights(
    search: Search,
    prob_MNJ: Sequence[Floats],
    truth: Mapping[str, Ints],
    fold_N: Ints,
    space: LabelSpace,
    *,
    seed: int = 0,
) -> Floats:
    """Return (N, J) float32: each row combined with weights that were searched on the other folds' people.

    Their score is an unbiased score of the search as a whole. fold_N as for `crossfit.cross_fit`, the rest as for
    `search_weights`.
    """

    def apply(weights: Weights, part_MNJ: list[Floats]) -> Floats:
        if isinstance(weights, Mapping):
            return weighted_tasks(part_MNJ, weights, space)
        return weighted_mean(part_MNJ, weights)

    return cross_fit_members(
        prob_MNJ,
        truth,
        fold_N,
        lambda part_MNJ, known: search_weights(search, part_MNJ, known, space, seed=seed),
        apply,
    )


def greedy_weights(prob_MNJ: Sequence[Floats], true_N: Ints, *, rounds: int = GREEDY_ROUNDS) -> Doubles:
    """Add members one by one, with replacement, each time the one with the best macro-F1 of the mean so far.

    Reference: Caruana, Niculescu-Mizil, Crew and Ksikes 2004, Ensemble selection from libraries of models, ICML.

    The first is the best single member. Among members of equal score the first in the list is taken. In the end the
    list is cut where its score was highest, the first time it was; a member's weight is how often it is in the list. So
    the mean never scores below the best single member on these rows, and the result is always the same.

    prob_MNJ  (N, J) float each, in [0, 1].
    true_N    0..J-1, or -1 for a row to leave out.
    rounds    how many are added at most.

    Returns (M,) float64, multiples of one fraction that sum to 1. Raises ValueError for no members, no known row, no
    rounds, or unequal lengths.

    >>> a, b = np.eye(2, dtype=np.float32)[[0, 1, 1]], np.eye(2, dtype=np.float32)[[0, 0, 0]]
    >>> greedy_weights([a, b], np.array([0, 1, 1]))
    array([1., 0.])
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    known_MNJ, known_N = _known_rows(prob_MNJ, true_N)
    total_NJ = np.zeros(known_MNJ[0].shape)
    taken_M = np.zeros(len(known_MNJ), dtype=np.int64)
    best, best_M = -np.inf, taken_M
    for _ in range(rounds):
        score_M = _scores_with_each(total_NJ, known_MNJ, known_N)
        chosen = int(np.argmax(score_M))
        taken_M[chosen] += 1
        total_NJ += known_MNJ[chosen]
        if score_M[chosen] > best:
            best, best_M = score_M[chosen], taken_M.copy()
    weights_M: Doubles = best_M / best_M.sum()
    return weights_M


def bagged_weights(
    prob_MNJ: Sequence[Floats], true_N: Ints, *, seed: int, bags: int = BAGS, rounds: int = BAG_ROUNDS
) -> Doubles:
    """Search greedy weights among a random half of the members, several times, and average what is found.

    Reference: Caruana et al. 2004, section 2.3. With many members one of them fits these rows by chance; in most bags
    it has to do without some of the others, so the average leans less on it than `greedy_weights` does.

    seed    draws the halves, rounded up; the same seed gives the same weights.
    bags    how many halves.
    rounds  how many members are added in each bag at most.

    Returns (M,) float64, sum 1. Raises ValueError as `greedy_weights` does, and for no bags.
    """
    if bags < 1:
        raise ValueError(f"bags must be at least 1, got {bags}")
    known_MNJ, known_N = _known_rows(prob_MNJ, true_N)
    rng, weights_M = np.random.default_rng(seed), np.zeros(len(known_MNJ))
    for _ in range(bags):
        half = np.sort(rng.choice(len(known_MNJ), (len(known_MNJ) + 1) // 2, replace=False))
        weights_M[half] += greedy_weights([known_MNJ[m] for m in half], known_N, rounds=rounds)
    return weights_M / bags


def convex_weights(prob_MNC: Sequence[Floats], true_N: Ints) -> Doubles:
    """Find the weighted mean with the least mean log loss: a convex problem, so there is one least value.

    With q the members' probabilities of the true class, -mean log(q w) is minimised over w >= 0 that sum to 1, by
    scipy's SLSQP, and the answer is checked: with g_m the mean of q_m / (q w), no weights at all can be better by more
    than log(max g), and that must be at most 1e-5. Where SLSQP stays above, EM for mixture weights (w becomes w g),
    which only ever improves, takes over. Probabilities below 1e-7 count as 1e-7.

    prob_MNC  (N, C) float each: joint classes or those of one task.
    true_N    0..C-1, or -1 for a row to leave out.

    Returns (M,) float64, >= 0, sum 1; several answers may be equally good. Raises ValueError as `greedy_weights` does,
    ResultError if neither way gets there.

    >>> a, b = np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([[0.1, 0.9], [0.1, 0.9]])
    >>> convex_weights([a, b], np.array([0, 1])).round(3)  # the same to both
    array([0.5, 0.5])
    """
    known_MNC, known_N = _known_rows(prob_MNC, true_N)
    rows_N = np.arange(len(known_N))
    true_MN = np.stack([np.maximum(prob_NC[rows_N, known_N].astype(np.float64), FLOOR) for prob_NC in known_MNC])
    weights_M = _slsqp(true_MN)
    return weights_M if convex_gap(true_MN, weights_M) <= CONVEX_TOLERANCE else _em(true_MN, weights_M)


def convex_gap(true_MN: Doubles, weights_M: Doubles) -> float:
    """Return log(max g): how far, at most, the mean log loss of these weights lies above the least possible.

    true_MN    probability that each member gave the true class, > 0.
    weights_M  >= 0, sum 1.

    Any other weights v gain mean log(q v / q w) <= log mean(q v / q w) = log(v g) <= log(max g), by Jensen.
    """
    return float(np.log(_ratios(true_MN, weights_M).max()))


def _scores_with_each(total_NJ: Doubles, prob_MNJ: Sequence[Floats], true_N: Ints) -> Doubles:
    """Return the macro-F1 that the sum would have with each member added, (M,).

    A member moves no two classes of a row against each other by more than 1, so a row whose first is further than that
    ahead of its second keeps its label; after some rounds that is nearly all of them, and only the others are summed.
    """
    classes = total_NJ.shape[1]
    second_N, first_N = np.partition(total_NJ, -2, axis=1)[:, -2:].T
    open_N = first_N - second_N < 1.01  # not 1: a row of predictions may sum to a little more
    settled = confusion(true_N[~open_N], total_NJ[~open_N].argmax(axis=1), classes)
    part_NJ, part_N = total_NJ[open_N], true_N[open_N]
    return np.array(
        [
            macro_f1(settled + confusion(part_N, (part_NJ + prob_NJ[open_N]).argmax(axis=1), classes))
            for prob_NJ in prob_MNJ
        ]
    )


def _slsqp(true_MN: Doubles) -> Doubles:
    from scipy.optimize import minimize  # a second to import

    members = len(true_MN)

    def loss(weights_M: Doubles) -> tuple[float, Doubles]:
        # The search may try weights a hair outside; the floor keeps its logarithm.
        mixed_N = np.maximum(weights_M @ true_MN, FLOOR)
        return -float(np.log(mixed_N).mean()), -(true_MN @ (1 / mixed_N)) / len(mixed_N)

    sum_to_one = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(members)}
    found = minimize(
        loss,
        np.full(members, 1 / members),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * members,
        constraints=[sum_to_one],
        options={"ftol": 1e-10, "maxiter": 200},
    )
    weights_M = np.maximum(np.nan_to_num(found.x), 0)
    total = weights_M.sum()
    return weights_M / total if total > 0 else np.full(members, 1 / members)


def _em(true_MN: Doubles, start_M: Doubles, *, steps: int = 20_000) -> Doubles:
    """Multiply the weights by their g until the gap is small; a weight of 0 would stay 0, so none starts there."""
    weights_M: Doubles = 0.9 * start_M + 0.1 / len(start_M)
    for _ in range(steps):
        ratio_M = _ratios(true_MN, weights_M)
        if np.log(ratio_M.max()) <= CONVEX_TOLERANCE:
            return weights_M
        weights_M = weights_M * ratio_M
        weights_M /= weights_M.sum()  # 1 but for rounding
    raise ResultError(
        "the weights of the members did not settle",
        got=f"up to {convex_gap(true_MN, weights_M):.2g} above the least log loss",
        expected=f"at most {CONVEX_TOLERANCE:g}",
        fix="use the plain mean or the greedy weights, or fewer members",
    )


def _ratios(true_MN: Doubles, weights_M: Doubles) -> Doubles:
    """Return g (M,): the mean over rows of each member's probability over the mixture's."""
    ratio_M: Doubles = true_MN @ (1 / (weights_M @ true_MN)) / true_MN.shape[1]
    return ratio_M


def _known_rows(prob_MNJ: Sequence[Floats], true_N: Ints) -> tuple[list[NDArray[Any]], Ints]:
    """Return the rows with known truth of all members, and their labels."""
    true_N = np.asarray(true_N)
    shapes = {prob_NJ.shape for prob_NJ in prob_MNJ}
    if len(shapes) != 1 or next(iter(shapes))[:1] != true_N.shape:
        raise ValueError(f"members must be as many rows and classes each: {sorted(shapes)}, truth {true_N.shape}")
    rows = np.flatnonzero(true_N != UNKNOWN)
    if not len(rows):
        raise ValueError("no row has a known truth")
    return [prob_NJ[rows] for prob_NJ in prob_MNJ], true_N[rows].astype(np.int64)
