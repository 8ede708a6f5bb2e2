"""The ensemble methods by name: fit one on out-of-fold rows, score it, and apply it to new predictions.

What a method does is in `combine` (fixed rules and weighted means), `weight_search` (weights) and `stacking`.

N out-of-fold rows, M members, J joint classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never, get_args

import numpy as np

from maskcls.errors import ResultError
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.crossfit import cross_fit_members
from maskcls.results.ensembles.combine import Method, Weights, combine, combine_tasks, combine_weighted
from maskcls.results.ensembles.diversity import correlation, kappa, member_value
from maskcls.results.ensembles.rival import Rival, nested_rival
from maskcls.results.ensembles.stacking import Stack, apply_stack, fit_stack, nested_stack
from maskcls.results.ensembles.weight_search import Search, nested_weights, search_weights
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.results.scores.intervals import LEVEL, Interval, PredictionInterval, macro_f1_intervals
from maskcls.results.scores.metrics import Scores, score

Fixed = Method
Searched = Search
EnsembleMethod = Literal[Fixed, Searched, "tasks", "stack", "weights"]
METHODS: tuple[EnsembleMethod, ...] = get_args(EnsembleMethod)
FITTED = tuple(name for name in METHODS if name not in (*get_args(Fixed), "weights"))  # on out-of-fold rows


@dataclass(frozen=True, eq=False)
class FittedEnsemble:
    """A method and what was fitted for it.

    weights  of the members, searched or given by the user.
    sources  {task: number of the member that is best at it}, for the method "tasks".
    """

    method: str
    weights: Weights | None = None
    sources: Mapping[str, int] | None = None
    stack: Stack | None = None


@dataclass(frozen=True, eq=False)
class EnsembleScores:
    """Scores of an ensemble and its members on out-of-fold rows.

    alone         each member's scores.
    values        macro-F1 of the ensemble that is lost without each member; NaN where that is not defined.
    kappas        (M, M) Cohen's kappa of the members' labels.
    correlations  (M, M) correlation of the true classes' probabilities.
    nested        scores of the ensemble when everything is fitted on the other folds' people.
    interval      of the nested macro-F1.
    prediction    where the macro-F1 of new people may lie.
    gain          nested macro-F1 minus that of `rival`.
    rival         the best single member, chosen on the other folds too.
    """

    alone: list[Scores]
    values: list[float]
    kappas: list[list[float]]
    correlations: list[list[float]]
    nested: Scores
    interval: Interval
    prediction: PredictionInterval
    gain: Difference
    rival: Rival


def fit_ensemble(method: str, prob_MNJ: Sequence[Floats], labelled: LabelledPredictions) -> FittedEnsemble:
    """Fit a method on all out-of-fold rows.

    prob_MNJ  each member's probabilities (N, J) of the rows of `labelled`, in their order.
    """
    truth, space = labelled.truth, labelled.space
    known = _known(method)
    match known:
        case "greedy" | "bagged" | "convex" | "convex-tasks":
            return FittedEnsemble(known, weights=search_weights(known, prob_MNJ, truth, space, seed=labelled.seed))
        case "tasks":
            return FittedEnsemble(known, sources=best_sources(prob_MNJ, truth, space))
        case "stack":
            return FittedEnsemble(known, stack=fit_stack(prob_MNJ, truth, space))
        case "mean" | "geometric" | "vote" | "rank" | "weights":
            return FittedEnsemble(known)
        case _:
            assert_never(known)


def _known(method: str) -> EnsembleMethod:
    return next(known for known in METHODS if known == method)


def best_sources(prob_MNJ: Sequence[Floats], truth: Mapping[str, Ints], space: LabelSpace) -> dict[str, int]:
    """Return for each task the member with the best macro-F1 in it, the first of equals."""
    scores = [score(prob_NJ, truth, space) for prob_NJ in prob_MNJ]
    return {name: int(np.argmax([found.tasks[name].macro_f1 for found in scores])) for name in space.names}


def score_ensemble(
    blend: FittedEnsemble,
    prob_MNJ: Sequence[Floats],
    labelled: LabelledPredictions,
    nested: Floats,
    part_N: Ints,
    *,
    new_people: int | None = None,
    level: float = LEVEL,
) -> EnsembleScores:
    """Score every member and the ensemble on the out-of-fold rows.

    nested  (N, J) the ensemble's probabilities of these rows, fitted on the other folds; see `nested_ensemble`.
    part_N  (N,) the part of the people each row is in, two or more: the folds, or groups of people for runs of
            one fold. The single member that the ensemble is compared with is chosen on the other parts.
    new_people  people in the photos to predict; None: not known, so as many as here.
    level   of the interval of the gain.
    """
    space, truth = labelled.space, labelled.truth
    joint_N, people_N = space.encode(truth), labelled.people_N
    assert people_N is not None
    labels = [prob_NJ.argmax(axis=1).astype(np.int64) for prob_NJ in prob_MNJ]
    alone = [score(prob_NJ, truth, space) for prob_NJ in prob_MNJ]
    rival = nested_rival(labels, joint_N, part_N, space.size)
    nested_N = nested.argmax(axis=1).astype(np.int64)
    intervals = macro_f1_intervals(joint_N, nested_N, people_N, space.size, new_people=new_people)
    return EnsembleScores(
        alone,
        member_value(prob_MNJ, joint_N, _mean_weights(blend, len(prob_MNJ), space)).tolist(),
        kappa(labels, space.size).tolist(),
        correlation(prob_MNJ, joint_N).tolist(),
        score(nested, truth, space),
        intervals.confidence,
        intervals.prediction,
        paired_difference(joint_N, rival.labels, nested_N, people_N, space.size, level=level),
        rival,
    )


def nested_ensemble(blend: FittedEnsemble, prob_MNJ: Sequence[Floats], labelled: LabelledPredictions) -> Floats:
    """Return the ensemble's probabilities of every row (N, J), fitted on the other folds' people.

    A method without anything to fit is applied directly. Raises ResultError for runs of one fold.
    """
    space, truth, fold_N = labelled.space, labelled.truth, labelled.fold_N
    assert fold_N is not None
    if blend.method not in FITTED:
        return apply_ensemble(blend, [_as_predictions(prob_NJ, space) for prob_NJ in prob_MNJ]).prob
    if len(np.unique(fold_N)) < 2:
        raise ResultError(
            f"--method {blend.method} needs two folds or more: it is fitted on the other folds of each row",
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
            return nested_weights(method, prob_MNJ, truth, fold_N, space, seed=labelled.seed)
        case "mean" | "geometric" | "vote" | "rank" | "weights":
            raise AssertionError("nothing to choose; handled above")
        case _:
            assert_never(method)


def _as_predictions(prob_NJ: Floats, space: LabelSpace) -> Predictions:
    return Predictions(np.arange(len(prob_NJ)).astype(np.str_), prob_NJ, space)


def _mean_weights(blend: FittedEnsemble, members: int, space: LabelSpace) -> Any:
    """Return the weights (M,) that each member's value is computed with."""
    if isinstance(blend.weights, Mapping):
        return np.mean([blend.weights[name] for name in space.names], axis=0)
    return np.full(members, 1 / members) if blend.weights is None else blend.weights


def apply_ensemble(blend: FittedEnsemble, members: Sequence[Predictions], *, names: Sequence[str] = ()) -> Predictions:
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
