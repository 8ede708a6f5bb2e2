"""From probabilities to labels when the highest probability is not the best answer for the macro-F1.

N rows, J joint classes, K directions, P people, D bootstrap draws. Every rule here gives each joint class a weight and
a threshold, two numbers that are the same for all rows, and they differ in how these are found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, assert_never, get_args

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Ints, LabelSpace
from maskcls.results.comparison.bootstrap import Difference, paired_bootstrap
from maskcls.results.crossfit import cross_fit
from maskcls.results.decisions.calibration import TINY, Probabilities, log_rows
from maskcls.results.scores.metrics import Doubles, confusion, macro_f1, person_counts, resampled_macro_f1, resamples

Fitted = TypeVar("Fitted")
Kind = Literal["expected", "task", "joint", "prior", "shift"]

STEPS = (0.5, 0.1)  # in nats; four of each to both sides, so the first pass looks at odds changed up to 7-fold
REACH = 4
PASSES = 4  # over all directions with one step, at most
TURNS, PART = 100, 0.2  # of `expected_rule`
BETTER = 1e-9  # less than this is the same objective
EM_ROUNDS, EM_CLOSE = 10_000, 1e-10


@dataclass(frozen=True)
class Rule:
    """Answer with the class whose exp(bias) * (probability - threshold) is the largest.

    kind       how it was found: "expected" by `expected_rule`, "task", "joint" and "prior" by `fit_bias`, "shift" by
               `shift_rule`.
    bias       J numbers in nats, one a joint class; only their differences count.
    threshold  J numbers in [0, 1), or () for 0 everywhere: then the bias is added to the log-probability.
    numbers    the few the bias is made of, by name, for people.

    Raises ValueError for another kind, numbers that are not finite, or thresholds for other classes.
    """

    kind: Kind
    bias: tuple[float, ...]
    threshold: tuple[float, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (*self.bias, *self.threshold)))
        if self.kind not in get_args(Kind) or not finite or len(self.threshold) not in (0, len(self.bias)):
            raise ValueError(f"no rule: {self.kind!r}, {self.bias}, {self.threshold}")

    def labels(self, prob_NJ: Probabilities) -> Ints:
        """Return the joint class of each row, (N,) int64; the lowest index wins a tie."""
        weight_J = np.exp(np.asarray(self.bias) - max(self.bias))
        above_NJ = self._checked(prob_NJ) - np.asarray(self.threshold or 0.0)
        best_N: Ints = (weight_J * above_NJ).argmax(axis=1).astype(np.int64)
        return best_N

    def adjusted(self, prob_NJ: Probabilities) -> Doubles:
        """Return the rows (N, J) float64 with every class's odds changed by its bias, summing to 1 again.

        Raises ValueError for a rule with thresholds, whose answers are no probabilities' maximum.
        """
        if self.threshold:
            raise ValueError(f"a rule of kind {self.kind!r} has thresholds, and so no rows of its own")
        changed_NJ = log_rows(self._checked(prob_NJ)) + np.asarray(self.bias)
        odds_NJ = np.exp(changed_NJ - changed_NJ.max(axis=1, keepdims=True))
        rows_NJ: Doubles = odds_NJ / odds_NJ.sum(axis=1, keepdims=True)
        return rows_NJ

    def _checked(self, prob_NJ: Probabilities) -> Doubles:
        if np.shape(prob_NJ)[1:] != (len(self.bias),):
            raise ValueError(f"probabilities must be (N, {len(self.bias)}), got {np.shape(prob_NJ)}")
        return np.maximum(np.asarray(prob_NJ, dtype=np.float64), TINY)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        data = {"kind": self.kind, "bias": list(self.bias), "threshold": list(self.threshold)}
        return data | {"numbers": dict(self.numbers)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Rule:
        """Rebuild a rule from `to_json` data; raises ValueError for a kind that is not known."""
        if data["kind"] not in get_args(Kind):
            raise ValueError(f"an unknown kind of rule: {data['kind']!r}")
        bias, threshold = (tuple(map(float, data[name])) for name in ("bias", "threshold"))
        return Rule(data["kind"], bias, threshold, dict(data["numbers"]))


@dataclass(frozen=True)
class Nested:
    """What a rule is worth on people it was not fitted on.

    labels  (N,) int64, each row's by the rule fitted on the other folds.
    plain   macro-F1 of the labels without a rule, on all rows; `ruled` with it.
    gain    ruled - plain, with its interval over people.
    """

    labels: Ints
    plain: float
    ruled: float
    gain: Difference

    @property
    def worth_it(self) -> bool:
        """Whether the whole interval of the gain lies above 0."""
        return self.gain.low > 0


def expected_rule(prob_NJ: Probabilities) -> Rule:
    """Make the rule with the highest macro-F1 that the probabilities themselves lead to expect; no truth is asked.

    References: Narasimhan, Ramaswamy, Saha and Agarwal 2015, Consistent multiclass algorithms for complex performance
    measures, ICML; with one class, Lipton et al. 2014, arXiv:1402.1892: the best threshold is half the best F1.

    One more row answered with class j raises the sum of the F1 by about (2 p_j - F1_j) / (truths_j + answers_j), to
    first order. Answering with the largest changes F1 and answers, so the two are found in turns, each time going part
    of the way. The J pairs of numbers follow from the probabilities of all rows, which makes it steadier than a bias
    fitted on the few people of a rare class. It can be no better than they are: calibrate them first.

    prob_NJ  (N, J) float, rows sum to 1, calibrated; at least one row.

    Returns plain argmax where nothing better is expected. Raises ValueError for no rows.
    """
    prob_NJ = np.asarray(prob_NJ, dtype=np.float64)
    if not len(prob_NJ):
        raise ValueError("there are no rows")
    rows, classes = prob_NJ.shape
    truths_J = prob_NJ.sum(axis=0)

    def expected(label_N: Ints) -> tuple[Doubles, Doubles]:
        hits_J = np.bincount(label_N, prob_NJ[np.arange(rows), label_N], minlength=classes)
        marks_J = np.maximum(truths_J + np.bincount(label_N, minlength=classes), 1.0)  # rarer than that is not known
        return 2 * hits_J / marks_J, marks_J / rows

    rule = Rule("expected", (0.0,) * classes)
    f1_J, marks_J = expected(rule.labels(prob_NJ))
    best, best_rule = f1_J.mean(), rule
    for _ in range(TURNS):
        rule = Rule("expected", tuple((-np.log(marks_J)).tolist()), tuple((f1_J / 2).tolist()))
        found_f1_J, found_marks_J = expected(rule.labels(prob_NJ))
        if found_f1_J.mean() > best + BETTER:
            best, best_rule = found_f1_J.mean(), rule
        f1_J, marks_J = (old + PART * (new - old) for old, new in ((f1_J, found_f1_J), (marks_J, found_marks_J)))
    return best_rule


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
            return {"tau": -np.log(_above_0(prior_J))}
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
) -> Rule:
    """Find the bias that raises the macro-F1 on these rows, as far as other people would show the same.

    A bias is worth the mean, over resamples of the people, of how much it raises the macro-F1, less `caution` times
    the spread of that. No bias is worth 0; so where nothing but chance is to be had, the rule is plain argmax. The
    numbers of the rule are moved one after the other over a grid, first coarse, then fine, as long as that helps.

    prob_NJ   (N, J) float, rows sum to 1, of rows the network has not learnt from; calibrated first if at all.
    true_N    (N,) int, 0..J-1, or -1 for a row to leave out.
    person_N  who is on each row; text or whole numbers.
    kind      "task", "joint" or "prior"; see `directions`. The prior is the share of each class in `true_N`.
    caution   standard deviations taken off, 0 or more; 0 follows these rows alone.
    draws     resamples of the people, 2 or more.
    seed      of the resamples.

    Raises ValueError when no truth is known.
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

    def worth(number_K: Doubles) -> float:
        gain_D = drawn_scores(number_K) - plain_D
        return float(gain_D.mean() - caution * gain_D.std())

    number_K = _climb(worth, len(named))
    bias = tuple((number_K @ direction_KJ).tolist())
    return Rule(kind, bias, numbers=dict(zip(named, number_K.tolist(), strict=True)))


def class_shares(true_N: Ints, classes: int) -> Doubles:
    """Return each class's share (C,) of the rows with known truth."""
    counts = np.bincount(true_N[true_N != UNKNOWN], minlength=classes)
    share_C: Doubles = counts / counts.sum()
    return share_C


def nested(
    prob_NJ: Probabilities,
    true_N: Ints,
    person_N: Sequence[str] | NDArray[Any],
    fold_N: Ints,
    fit: Callable[[Ints], Fitted],
    apply: Callable[[Fitted, Ints], Ints],
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Nested:
    """Judge a way of deciding by fitting it on the other folds of each row, against the plain argmax of the rows.

    prob_NJ   (N, J) float: what the plain labels are taken from.
    true_N    (N,) int, 0..J-1, or -1 for a row that does not count.
    person_N  who is on each row; the interval of the gain is drawn over people.
    fold_N    (N,) int, at least two different.
    fit       takes row numbers, returns what it learned from them.
    apply     takes that and other row numbers, returns their labels (n,).

    `fit` and `apply` close over the same rows as are given here. Raises ValueError as `cross_fit` and
    `paired_bootstrap` do.
    """
    plain_N = np.asarray(prob_NJ).argmax(axis=1).astype(np.int64)
    ruled_N: Ints = cross_fit(fold_N, fit, apply)
    classes = np.shape(prob_NJ)[1]
    gain = paired_bootstrap(true_N, plain_N, ruled_N, person_N, classes, draws=draws, seed=seed, level=level)
    plain, ruled = (macro_f1(confusion(true_N, label_N, classes)) for label_N in (plain_N, ruled_N))
    return Nested(ruled_N, plain, ruled, gain)


def shifted_prior(prob_NC: Probabilities, prior_C: Doubles) -> Doubles:
    """Estimate how common the classes are among new rows, from their probabilities alone: (C,), sums to 1.

    Reference: Saerens, Latinne and Decaestecker 2002, Neural Computation 14(1), the EM algorithm of section 2.2.

    It takes for granted that the classes look as they did in training and only their shares differ, and that the
    probabilities are calibrated: if they are too sure or not sure enough, so is the answer.

    prob_NC  (N, C) float, rows sum to 1, of the new rows; at least one.
    prior_C  the shares the probabilities were learnt with, above 0; the truth's on out-of-fold rows.

    Raises ValueError for a share of 0 or no rows.
    """
    prob_NC, prior_C = np.asarray(prob_NC, dtype=np.float64), np.asarray(prior_C, dtype=np.float64)
    if not len(prob_NC) or prior_C.shape != prob_NC.shape[1:] or not (prior_C > 0).all():
        raise ValueError(f"{len(prob_NC)} rows of {prob_NC.shape[1:]} classes, shares {prior_C.tolist()}")
    likely_NC, share_C = prob_NC / prior_C, prior_C / prior_C.sum()
    for _ in range(EM_ROUNDS):
        before_C, share_C = share_C, share_C * (likely_NC.T @ (1 / (likely_NC @ share_C))) / len(prob_NC)
        if np.abs(share_C - before_C).max() < EM_CLOSE:
            break
    found_C: Doubles = share_C / share_C.sum()
    return found_C


def shift_rule(prob_NJ: Probabilities, prior_J: Doubles, space: LabelSpace, *, by_task: bool = True) -> Rule:
    """Make the rule that corrects the rows to be labelled for how common the classes are among them.

    prob_NJ  (N, J) float, calibrated joint probabilities of the rows to be labelled.
    prior_J  as for `shifted_prior`, but those of 0 count as rare as the rarest there is.
    by_task  estimate each task's shares from its marginals and change the odds by their product; otherwise those of
             the joint classes, for which many more rows are needed.

    Its numbers are the estimated shares.
    """
    prior_J = _above_0(prior_J)
    prior_J = prior_J / prior_J.sum()
    if not by_task:
        share_J = shifted_prior(prob_NJ, prior_J)
        return _shift(np.log(np.maximum(share_J, TINY) / prior_J), dict(zip(space.joint_names, share_J, strict=True)))
    part_of, bias_J, numbers = space.decode(np.arange(space.size)), np.zeros(space.size), dict[str, float]()
    for task in space.tasks:
        of_JC = np.eye(len(task.classes))[part_of[task.name]]
        prior_C = prior_J @ of_JC
        share_C = shifted_prior(prob_NJ @ of_JC, prior_C)
        bias_J += np.log(np.maximum(share_C, TINY) / prior_C)[part_of[task.name]]
        numbers |= {f"{task.name} {name}": share for name, share in zip(task.classes, share_C, strict=True)}
    return _shift(bias_J, numbers)


def _above_0(share_J: Doubles) -> Doubles:
    filled_J: Doubles = np.where(share_J > 0, share_J, share_J[share_J > 0].min())
    return filled_J


def _shift(bias_J: Doubles, numbers: Mapping[str, float]) -> Rule:
    return Rule("shift", tuple(bias_J.tolist()), numbers={name: float(share) for name, share in numbers.items()})


def _climb(worth: Callable[[Doubles], float], count: int) -> Doubles:
    """Move one number after the other to the best place on the grid around it, as long as one of them gains."""
    number_K, best = np.zeros(count), 0.0
    for step in STEPS:
        for _ in range(PASSES):
            before = best
            for k in range(count):
                number_K, best = _best_along(worth, number_K, best, k, step)
            if best == before:
                break
    return number_K


def _best_along(
    worth: Callable[[Doubles], float], number_K: Doubles, best: float, k: int, step: float
) -> tuple[Doubles, float]:
    """Return the best numbers that differ from these in the k-th alone, and what they are worth."""
    start_K = number_K
    for times in sorted(range(-REACH, REACH + 1), key=abs):  # of equals, the nearest
        tried_K = start_K.copy()
        tried_K[k] = round(start_K[k] + times * step, 6)  # a sum of steps of 0.1 would not come back to 0
        if times and (value := worth(tried_K)) > best + BETTER:
            number_K, best = tried_K, value
    return number_K, best
