"""The decision rule whose biases are fitted on labelled out-of-fold rows, penalised by how much the gain varies.

N rows, J joint classes, K directions (the numbers that are fitted), P people, D bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Ints, LabelSpace
from maskcls.results.decisions.calibration import Probabilities, log_rows
from maskcls.results.decisions.rule import DecisionRule, Kind
from maskcls.results.decisions.shift_rule import fill_empty_classes
from maskcls.results.scores.metrics import Doubles
from maskcls.results.scores.person_bootstrap import resampled_macro_f1, resamples
from maskcls.results.scores.person_counts import person_counts

STEPS = (0.5, 0.1)  # in nats; four of each to both sides, so the first pass looks at odds changed up to 7-fold
REACH = 4
PASSES = 4  # over all directions with one step, at most
BETTER = 1e-9  # less than this is the same objective


def directions(kind: Kind, prior_J: Doubles, space: LabelSpace) -> dict[str, Doubles]:
    """Return what the numbers of a rule are multiplied with, by their names: K arrays (J,).

    kind     "task": a number for each class of each task but the first, 5 for the contest, so that photos of every
             mask help to learn what is right for an age. "joint": one for each joint class but the first, 17; rare
             ones have few people to learn it from. "prior": one, 0 = as it is, 1 = every class equally likely
             beforehand (Menon et al. 2020, arXiv:2007.07314, applied to finished probabilities).
    prior_J  for "prior": the joint classes' shares in training; those of 0 count as rare as the rarest there is.

    Raises ValueError for the kinds that are not fitted on labels.
    """
    match kind:
        case "prior":
            return {"tau": -np.log(fill_empty_classes(prior_J))}
        case "joint":
            return dict(zip(space.joint_names[1:], np.eye(space.size)[1:], strict=True))
        case "task":
            return _task_directions(space)
        case "expected" | "shift":
            raise ValueError(f"a rule of kind {kind!r} is not fitted on labels")
        case _:
            assert_never(kind)


def _task_directions(space: LabelSpace) -> dict[str, Doubles]:
    part_of = space.decode(np.arange(space.size))
    return {
        f"{task.name} {name}": (part_of[task.name] == label).astype(np.float64)
        for task in space.tasks
        for label, name in enumerate(task.classes)
        if label
    }


def fit_bias(
    prob_NJ: Probabilities,
    true_N: Ints,
    person_N: Sequence[str] | NDArray[Any],
    space: LabelSpace,
    *,
    kind: Kind = "task",
    caution: float = 1.0,
    draws: int = 40,
    seed: int = 0,
) -> DecisionRule:
    """Fit the bias that raises the macro-F1 on these rows, penalised by how much that varies over people.

    The objective is the mean gain in macro-F1 over resamples of the people, minus `caution` times its standard
    deviation. It is 0 without a bias, so the rule stays plain argmax where gains are due to chance. The numbers of the
    rule are changed one after the other on a grid, first coarse, then fine, as long as the objective rises.

    prob_NJ   (N, J) float, rows sum to 1, of rows the network was not trained on; calibrate them first.
    true_N    (N,) int, 0..J-1, or -1 for a row to leave out.
    person_N  (N,) the person on each row; text or whole numbers.
    kind      "task", "joint" or "prior"; see `directions`. The prior is the share of each class in `true_N`.
    caution   standard deviations taken off, 0 or more; 0 follows these rows alone.
    draws     resamples of the people, 2 or more.
    seed      of the resamples.

    Raises ValueError when no row has a label.
    """
    true_N, known_N = np.asarray(true_N), np.asarray(true_N) != UNKNOWN
    if not known_N.any():
        raise ValueError("no row has a known truth")
    if caution < 0 or draws < 2:
        raise ValueError(f"caution must be at least 0 and draws at least 2: got {caution}, {draws}")
    logs_NJ, true_N = log_rows(np.asarray(prob_NJ)[known_N]), true_N[known_N]
    who_N = np.unique(np.asarray(person_N)[known_N], return_inverse=True)[1]
    weights_DP = np.concatenate(list(resamples(int(who_N.max()) + 1, draws, seed)))
    named = directions(kind, class_shares(true_N, space.size), space)
    direction_KJ = np.stack(list(named.values()))

    def drawn_scores(number_K: Doubles) -> Doubles:
        best_N = (logs_NJ + number_K @ direction_KJ).argmax(axis=1)
        return resampled_macro_f1(weights_DP, *person_counts(true_N, best_N, who_N, space.size))

    plain_D = drawn_scores(np.zeros(len(named)))

    def objective(number_K: Doubles) -> float:
        gain_D = drawn_scores(number_K) - plain_D
        return float(gain_D.mean() - caution * gain_D.std())

    number_K = _climb(objective, len(named))
    bias = tuple((number_K @ direction_KJ).tolist())
    return DecisionRule(kind, bias, numbers=dict(zip(named, number_K.tolist(), strict=True)))


def class_shares(true_N: Ints, classes: int) -> Doubles:
    """Return each class's share (C,) of the rows with known truth."""
    counts = np.bincount(true_N[true_N != UNKNOWN], minlength=classes)
    share_C: Doubles = counts / counts.sum()
    return share_C


def _climb(objective: Callable[[Doubles], float], count: int) -> Doubles:
    """Move one number after the other to the best place on the grid around it, as long as one of them gains."""
    number_K, best = np.zeros(count), 0.0
    for step in STEPS:
        for _ in range(PASSES):
            before = best
            for k in range(count):
                number_K, best = _best_along(objective, number_K, best, k, step)
            if best == before:
                break
    return number_K


def _best_along(
    objective: Callable[[Doubles], float], number_K: Doubles, best: float, k: int, step: float
) -> tuple[Doubles, float]:
    """Return the best numbers that differ from these in the k-th alone, and their objective."""
    start_K = number_K
    for times in sorted(range(-REACH, REACH + 1), key=abs):  # of equals, the nearest
        tried_K = start_K.copy()
        tried_K[k] = round(start_K[k] + times * step, 6)  # a sum of steps of 0.1 would not come back to 0
        if times and (value := objective(tried_K)) > best + BETTER:
            number_K, best = tried_K, value
    return number_K, best
