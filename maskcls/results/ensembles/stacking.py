"""Stacking: a multinomial logistic regression per task on the members' probabilities.

N rows, C classes of one task, J joint classes, M members, as M arrays (N, J) of the same rows in the same order. It is
fitted on out-of-fold rows; its score on those rows is biased upwards, so report that of `nested_stack`.

Reference: Wolpert 1992, Stacked generalization, Neural Networks 5; Ting and Witten 1999, Issues in stacked
generalization, JAIR 10, for probabilities as inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskcls.errors import DataError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.crossfit import cross_fit_members
from maskcls.results.ensembles.combine import FLOOR
from maskcls.results.scores.metrics import Doubles

STACK_L2 = 1e-3
STEPS = 2000


@dataclass(frozen=True)
class Stack:
    """One multinomial logistic regression per task. members: number of members it was fitted on, in order."""

    space: LabelSpace
    models: Mapping[str, Any]
    members: int


def fit_stack(
    prob_MNJ: Sequence[Floats], truth: Mapping[str, Ints], space: LabelSpace, *, l2: float = STACK_L2
) -> Stack:
    """Fit, for every task, a multinomial logistic regression on the logarithms of all members' marginals.

    prob_MNJ  what each member gave for rows it was not trained on.
    truth     {task: (N,) int64}; a row whose label is unknown (-1) is left out of that task's fit.
    l2        > 0: half of it times the squared coefficients is added to the mean log loss, so that its meaning does not
              depend on the number of rows. The intercept is free.

    Probabilities below 1e-7 count as 1e-7. Raises DataError when a task's rows show fewer than two classes.
    """
    if l2 <= 0:
        raise ValueError(f"l2 must be above 0, got {l2}")
    inputs = _inputs(prob_MNJ, space)
    return Stack(space, {task: _fit_task(task, inputs[task], truth[task], l2) for task in space.names}, len(prob_MNJ))


def apply_stack(stack: Stack, prob_MNJ: Sequence[Floats]) -> Floats:
    """Return joint probabilities (N, J) float32: each task's regression, multiplied as if independent.

    prob_MNJ  the same members in the same order as in the fit; ValueError for another number of them.

    A class that no row of the fit showed gets probability 0.
    """
    if len(prob_MNJ) != stack.members:
        raise ValueError(f"the stack was fitted on {stack.members} members, got {len(prob_MNJ)}")
    inputs = _inputs(prob_MNJ, stack.space)
    prob = {}
    for task in stack.space.tasks:
        model = stack.models[task.name]
        prob_NC = np.zeros((len(prob_MNJ[0]), len(task.classes)), dtype=np.float32)
        prob_NC[:, model.classes_] = model.predict_proba(inputs[task.name])
        prob[task.name] = prob_NC
    return stack.space.compose(prob)


def nested_stack(
    prob_MNJ: Sequence[Floats],
    truth: Mapping[str, Ints],
    fold_N: Ints,
    space: LabelSpace,
    *,
    l2: float = STACK_L2,
) -> Floats:
    """Return (N, J) float32: each row predicted by a stack fitted on the other folds' people.

    Arguments as for `fit_stack`, fold_N as for `crossfit.cross_fit`; members' rows must be out of fold themselves.
    """
    return cross_fit_members(
        prob_MNJ, truth, fold_N, lambda part_MNJ, known: fit_stack(part_MNJ, known, space, l2=l2), apply_stack
    )


def _inputs(prob_MNJ: Sequence[Floats], space: LabelSpace) -> dict[str, Doubles]:
    """Return {task: (N, M * C) float64}: logarithms of the marginals, each member's with mean 0 over the classes."""
    parts: dict[str, list[Doubles]] = {task: [] for task in space.names}
    for prob_NJ in prob_MNJ:
        for task, prob_NC in space.marginals(prob_NJ).items():
            log_NC = np.log(np.maximum(prob_NC, np.float32(FLOOR)), dtype=np.float64)
            parts[task].append(log_NC - log_NC.mean(axis=1, keepdims=True))
    return {task: np.concatenate(part, axis=1) for task, part in parts.items()}


def _fit_task(task: str, input_NF: Doubles, true_N: Ints, l2: float) -> Any:
    from sklearn.linear_model import LogisticRegression  # seconds to import

    rows = np.flatnonzero(true_N != UNKNOWN)
    seen = np.unique(true_N[rows])
    if len(seen) < 2:
        raise DataError(
            "stacking needs two classes or more",
            where=f"task {task}",
            got=f"{len(rows)} known rows of {len(seen)} class(es)",
            expected="rows of at least two classes outside every fold",
            fix="use a weighted mean, or out-of-fold rows of more people",
        )
    # scikit-learn adds the rows' losses up and multiplies them by C.
    return LogisticRegression(C=1 / (l2 * len(rows)), max_iter=STEPS, tol=1e-6).fit(input_NF[rows], true_N[rows])
