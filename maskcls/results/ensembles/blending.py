"""Choose how members become one, and judge it, on out-of-fold rows; what `ensemble` and `weighting` offer, by name.

N out-of-fold rows, M members, J joint classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never, get_args

import numpy as np

from maskcls.errors import ResultError
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.comparison.bootstrap import Difference, paired_bootstrap
from maskcls.results.crossfit import cross_fit_members
from maskcls.results.ensembles.combine import Method, Weights, combine, combine_tasks, combine_weighted
from maskcls.results.ensembles.diversity import correlation, kappa, member_value
from maskcls.results.ensembles.stacking import Stack, apply_stack, fit_stack, nested_stack
from maskcls.results.ensembles.weighting import Search, search_weights
from maskcls.results.ensembles.weighting import nested as nested_weights
from maskcls.results.predictions import Predictions
from maskcls.results.scores.evaluation import Judged
from maskcls.results.scores.metrics import Interval, Scores, person_bootstrap, score

Fixed = Method
Searched = Search
BlendMethod = Literal[Fixed, Searched, "tasks", "stack", "weights"]
METHODS: tuple[BlendMethod, ...] = get_args(BlendMethod)
CHOOSING = tuple(name for name in METHODS if name not in (*get_args(Fixed), "weights"))  # on out-of-fold rows
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Blend:
    """How members become one: a method, and what it chose. weights: also those given; `sources`: {task: member}."""

    method: str
    weights: Weights | None = None
    sources: Mapping[str, int] | None = None
    stack: Stack | None = None


@dataclass(frozen=True, eq=False)
class Verdict:
    """What out-of-fold rows say.

    alone     each member's scores.
    values    by how much the macro-F1 of the ensemble would fall without each member, NaN where that is not defined.
    kappas    (M, M) agreement of the labels beyond chance, correlations (M, M) of the true classes' probabilities.
    nested    scores of the ensemble with everything chosen on the other folds' people, `interval`: of its macro-F1.
    gain      nested, less the best single member.
    best      which member that is.
    """

    alone: list[Scores]
    values: list[float]
    kappas: list[list[float]]
    correlations: list[list[float]]
    nested: Scores
    interval: Interval
    gain: Difference
    best: int


def choose(method: str, prob_MNJ: Sequence[Floats], judged: Judged) -> Blend:
    """Choose what a method leaves open, on all out-of-fold rows.

    prob_MNJ  what each member said of the rows of `judged`, in their order.
    """
    truth, space = judged.truth, judged.space
    known = _known(method)
    match known:
        case "greedy" | "bagged" | "convex" | "convex-tasks":
            return Blend(known, weights=search_weights(known, prob_MNJ, truth, space, seed=judged.seed))
        case "tasks":
            return Blend(known, sources=best_sources(prob_MNJ, truth, space))
        case "stack":
            return Blend(known, stack=fit_stack(prob_MNJ, truth, space))
        case "mean" | "geometric" | "vote" | "rank" | "weights":
            return Blend(known)
        case _:
            assert_never(known)


def _known(method: str) -> BlendMethod:
    return next(known for known in METHODS if known == method)


def best_sources(prob_MNJ: Sequence[Floats], truth: Mapping[str, Ints], space: LabelSpace) -> dict[str, int]:
    """Return for each task the member with the best macro-F1 in it, the first of equals."""
    scores = [score(prob_NJ, truth, space) for prob_NJ in prob_MNJ]
    return {name: int(np.argmax([found.tasks[name].macro_f1 for found in scores])) for name in space.names}


def judge(blend: Blend, prob_MNJ: Sequence[Floats], judged: Judged, nested: Floats) -> Verdict:
    """Score every member and the ensemble on the out-of-fold rows.

    nested  what the ensemble says of them (N, J), everything chosen on the other folds; see `honest`.
    """
    space, truth = judged.space, judged.truth
    joint_N, people_N = space.encode(truth), judged.people_N
    assert people_N is not None
    labels = [prob_NJ.argmax(axis=1).astype(np.int64) for prob_NJ in prob_MNJ]
    alone = [score(prob_NJ, truth, space) for prob_NJ in prob_MNJ]
    best = int(np.argmax([found.macro_f1 for found in alone]))
    nested_N = nested.argmax(axis=1).astype(np.int64)
    return Verdict(
        alone,
        member_value(prob_MNJ, joint_N, _mean_weights(blend, len(prob_MNJ), space)).tolist(),
        kappa(labels, space.size).tolist(),
        correlation(prob_MNJ, joint_N).tolist(),
        score(nested, truth, space),
        person_bootstrap(joint_N, nested_N, people_N, space.size, draws=DRAWS, seed=judged.seed),
        paired_bootstrap(joint_N, labels[best], nested_N, people_N, space.size, draws=DRAWS, seed=judged.seed),
        best,
    )


def honest(blend: Blend, prob_MNJ: Sequence[Floats], judged: Judged) -> Floats:
    """Return what the method gives for every row (N, J) when it chooses on the other folds' people.

    A method with nothing to choose gives what it gives. Raises ResultError for runs of one fold.
    """
    space, truth, fold_N = judged.space, judged.truth, judged.fold_N
    assert fold_N is not None
    if blend.method not in CHOOSING:
        return combined(blend, [_as_predictions(prob_NJ, space) for prob_NJ in prob_MNJ]).prob
    if len(np.unique(fold_N)) < 2:
        raise ResultError(
            f"--method {blend.method} needs two folds or more, to choose on one and be judged on another",
            fix="use --method mean, or train further folds with maskcls resume RUN --folds",
        )

    def mix(sources: Mapping[str, int], part: list[Floats]) -> Floats:
        return space.compose({name: space.marginals(part[m])[name] for name, m in sources.items()})

    method = _known(blend.method)
    match method:
        case "stack":
            return nested_stack(prob_MNJ, truth, fold_N, space)
        case "tasks":
            return cross_fit_members(prob_MNJ, truth, fold_N, lambda part, known: best_sources(part, known, space), mix)
        case "greedy" | "bagged" | "convex" | "convex-tasks":
            return nested_weights(method, prob_MNJ, truth, fold_N, space, seed=judged.seed)
        case "mean" | "geometric" | "vote" | "rank" | "weights":
            raise AssertionError("nothing to choose; handled above")
        case _:
            assert_never(method)


def _as_predictions(prob_NJ: Floats, space: LabelSpace) -> Predictions:
    return Predictions(np.arange(len(prob_NJ)).astype(np.str_), prob_NJ, space)


def _mean_weights(blend: Blend, members: int, space: LabelSpace) -> Any:
    """Return (M,) weights that stand for the blend where a member's value is asked."""
    if isinstance(blend.weights, Mapping):
        return np.mean([blend.weights[name] for name in space.names], axis=0)
    return np.full(members, 1 / members) if blend.weights is None else blend.weights


def combined(blend: Blend, members: Sequence[Predictions], *, names: Sequence[str] = ()) -> Predictions:
    """Join members' predictions of the same photos; raises DataError or WeightsError where they do not fit together."""
    if blend.stack is not None:
        first = members[0]
        aligned = [member.align(first.ids).prob for member in members]
        lineage = {"ensemble": {"method": blend.method}, "members": [member.lineage for member in members]}
        return Predictions(first.ids, apply_stack(blend.stack, aligned), first.space, lineage)
    if blend.weights is not None:
        return combine_weighted(members, blend.weights, names=names)
    if blend.sources is not None:
        return combine_tasks({task: members[member] for task, member in blend.sources.items()})
    return combine(members, next(known for known in get_args(Fixed) if known == blend.method), names=names)
