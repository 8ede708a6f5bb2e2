"""Choose which predictions of unlabelled photos are sure enough to be trained on, and with what label and weight.

References: Lee 2013, "Pseudo-Label", ICML workshop (the threshold); Zou et al. 2018, arXiv:1810.07911 (a share of each
class, so that easy classes do not crowd out the rare ones).

N photos, J joint classes, C classes of a task, T tasks in the space's order, S sources: the networks and views that
spoke about the same photos. A row's class in a task is the maximum of that task's marginal, the lowest index on a tie;
these classes together are its joint class. Equal input gives equal output, whatever the order of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from maskcls.errors import ConfigError, nearest
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.predictions import Predictions, Texts
from maskcls.results.pseudo.label_file import PseudoRows
from maskcls.results.scores.metrics import Doubles

Bools = NDArray[np.bool_]
Thresholds = Mapping[str, tuple[float, ...]]

ROUNDING = 1e-9  # 0.29 * 100 is a hair below 29 and means 29


class Verdict(IntEnum):
    """What became of one task of a row. A row as a whole has the lowest of its tasks' verdicts."""

    TAKEN = 0
    BALANCE = 1
    CAP = 2
    AGREEMENT = 3
    THRESHOLD = 4


@dataclass(frozen=True)
class Rule:
    """How rows are chosen; the defaults ask for nothing but the thresholds and that all sources agree.

    thresholds   {task: one number a class}, in [0, 1]: a task passes when the marginal probability of its class is at
                 least that of the class; see `thresholds`.
    partial      take the tasks that pass and leave the others unknown; else a row is taken when all its tasks pass.
    agree        share of the sources, in [0, 1], that must name the class the mean names, in each task.
    cap_rows     at most so many rows a joint class.
    cap_share    at most this share, in (0, 1], of the rows that are predicted to be of a joint class.
    balance      at most so many times, from 1, the rows of the joint class that has fewest; those without any row
                 do not count.
    prior        J numbers from 0: as many rows as can be had in these proportions. Classes without any row are passed
                 over, and the others keep their proportions. It excludes `balance`.
    combine      a row's confidence is the "product" or the "minimum" of its tasks' marginal probabilities.
    weigh        multiply the weight by the confidence in the tasks that are taken.
    weight       what a row counts beside a labelled one, above 0.
    soft         keep the probabilities too, as the target.
    temperature  soft probabilities are raised to 1 / temperature, above 0, and scaled to sum to 1: below 1 is sharper.

    Caps keep the rows with the highest confidence in all tasks, on a tie those whose id comes first. Raises ValueError
    for numbers outside these ranges.
    """

    thresholds: Thresholds
    partial: bool = False
    agree: float = 1.0
    cap_rows: int | None = None
    cap_share: float | None = None
    balance: float | None = None
    prior: tuple[float, ...] | None = None
    combine: Literal["product", "minimum"] = "product"
    weigh: bool = False
    weight: float = 1.0
    soft: bool = False
    temperature: float = 1.0

    def __post_init__(self) -> None:
        ranges = {
            "thresholds": all(0 <= value <= 1 for row in self.thresholds.values() for value in row),
            "agree": 0 <= self.agree <= 1,
            "cap_rows": self.cap_rows is None or self.cap_rows >= 1,
            "cap_share": self.cap_share is None or 0 < self.cap_share <= 1,
            "balance": self.balance is None or (1 <= self.balance < math.inf and self.prior is None),
            "prior": self.prior is None or (min(self.prior) >= 0 and 0 < sum(self.prior) < math.inf),
            "combine": self.combine in ("product", "minimum"),
            "weight": 0 < self.weight < math.inf,
            "temperature": 0 < self.temperature < math.inf,
        }
        for name, fits in ranges.items():
            if not fits:
                raise ValueError(f"{name} is out of range: {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """Return plain data, for the lineage."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Selection:
    """What was decided about every row.

    mean           the sources' mean, with the ids.
    label_TN       int64, the class of each task.
    confidence_TN  float64 in [0, 1], its marginal probability.
    confidence_N   float64 in [0, 1], all tasks combined: what caps go by.
    verdict_TN     int64, a `Verdict` for each task.
    """

    mean: Predictions
    label_TN: Ints
    confidence_TN: Doubles
    confidence_N: Doubles
    verdict_TN: Ints


def thresholds(given: float | Mapping[str, float | Mapping[str, float]], space: LabelSpace) -> Thresholds:
    """Spell out thresholds by class: one number for all, or one a task, or one a class of a task.

    Raises ConfigError, listing every task or class that is missing or not known and every number outside [0, 1].

    >>> from maskcls.labels import CONTEST
    >>> thresholds({"mask": {"wear": 0.5, "incorrect": 0.95, "normal": 0.95}, "gender": 0.9, "age": 0.8}, CONTEST)
    {'mask': (0.5, 0.95, 0.95), 'gender': (0.9, 0.9), 'age': (0.8, 0.8, 0.8)}
    """
    by_task = given if isinstance(given, Mapping) else dict.fromkeys(space.names, given)
    faults = _name_faults(by_task, space.names, "")
    spelt: dict[str, tuple[float, ...]] = {}
    for task in space.tasks:
        value = by_task.get(task.name, 0.0)
        by_class = value if isinstance(value, Mapping) else dict.fromkeys(task.classes, value)
        faults += _name_faults(by_class, task.classes, f"{task.name}.")
        spelt[task.name] = tuple(float(by_class.get(name, 0.0)) for name in task.classes)
        faults += [f"{task.name}: {number}" for number in set(spelt[task.name]) if not 0 <= number <= 1]
    if faults:
        expected = f"one number in [0, 1], or one for each of {', '.join(space.names)}, or one a class"
        raise ConfigError("the confidence thresholds are wrong", offenders=faults, expected=expected)
    return spelt


def together(sources: Mapping[int, Floats]) -> Floats:
    """Return all folds' sources as one (K * S, N, J): those of a network that is trained on all rows.

    sources  {fold: (S, N, J)}, S the same for every fold, so that their mean is the mean of the folds.
    """
    if len({prob_SNJ.shape for prob_SNJ in sources.values()}) != 1:
        raise ValueError(f"the folds' sources differ in shape: {[prob.shape for prob in sources.values()]}")
    return np.concatenate([sources[k] for k in sorted(sources)])


def label_sets(
    sources: Mapping[int, Floats], ids: Texts, paths: Texts, space: LabelSpace, rule: Rule
) -> tuple[dict[int, PseudoRows], list[dict[str, Any]]]:
    """Label the photos once a set, each from its own sources alone.

    sources  {fold: (S, N, J)}: what the networks say that never saw the people of this fold; under REFIT `together`.

    Returns the rows of each set, and the lines of all summaries, `set` (a fold, or -1) before the rest.
    Raises ResultError for probabilities that are none.
    """
    chosen = {k: select(ids, prob_SNJ, space, rule) for k, prob_SNJ in sources.items()}
    rows = {k: taken_rows(selection, paths, rule) for k, selection in chosen.items()}
    return rows, [{"set": k, **line} for k, selection in chosen.items() for line in summary(selection)]


def select(ids: Texts, prob_SNJ: Floats, space: LabelSpace, rule: Rule) -> Selection:
    """Decide about every row by what its sources say.

    The order is: thresholds and agreement, then caps, then balance or prior among what is left. A row that fails both
    the threshold and the agreement counts as failing the threshold.

    Raises ResultError for a repeated id or probabilities that are none, ValueError for wrong shapes.
    """
    prob_NJ, agree_TN = agreement(prob_SNJ, space, share=rule.agree)
    mean = Predictions(ids, prob_NJ, space)
    label_TN, confidence_TN = _choices(prob_NJ, space)
    rows = zip(space.names, label_TN, strict=True)
    floor_TN = np.stack([np.array(rule.thresholds[name], dtype=np.float32)[label_N] for name, label_N in rows])
    sure_TN = confidence_TN.astype(np.float32) >= floor_TN  # as float32, or a probability of 0.9 would miss 0.9
    if not rule.partial:
        sure_TN, agree_TN = (np.broadcast_to(ok_TN.all(axis=0), ok_TN.shape) for ok_TN in (sure_TN, agree_TN))
    verdict_TN = np.select([~sure_TN, ~agree_TN], [Verdict.THRESHOLD, Verdict.AGREEMENT], Verdict.TAKEN)
    confidence_N = _combined(confidence_TN, np.ones_like(sure_TN), rule)
    joint_N = space.encode(dict(zip(space.names, label_TN, strict=True)))
    for verdict, limit in _limits(rule, np.bincount(joint_N, minlength=space.size)):
        taken_N = (verdict_TN == Verdict.TAKEN).any(axis=0)
        limit_J = limit(np.bincount(joint_N[taken_N], minlength=space.size))
        over_N = taken_N & ~most_confident(joint_N, confidence_N, mean.ids, taken_N, limit_J)
        verdict_TN[(verdict_TN == Verdict.TAKEN) & over_N] = verdict
    return Selection(mean, label_TN, confidence_TN, confidence_N, verdict_TN.astype(np.int64))


def agreement(prob_SNJ: Floats, space: LabelSpace, *, share: float) -> tuple[Floats, Bools]:
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


def sharpened(prob_NJ: Floats, temperature: float) -> Floats:
    """Raise probabilities (N, J) to 1 / temperature and scale every row to sum to 1; float32.

    Reference: Berthelot et al. 2019, arXiv:1905.02249, equation 7.

    >>> sharpened(np.array([[0.75, 0.25]]), 0.5).round(4).tolist()  # 9 : 1
    [[0.8999999761581421, 0.10000000149011612]]
    """
    # Scaled by the maximum first, so that a small temperature does not turn a whole row into zeros.
    power_NJ = (prob_NJ / prob_NJ.max(axis=1, keepdims=True)).astype(np.float64) ** (1 / temperature)
    sharp_NJ: Floats = (power_NJ / power_NJ.sum(axis=1, keepdims=True)).astype(np.float32)
    return sharp_NJ


def taken_rows(selection: Selection, paths: Texts, rule: Rule) -> PseudoRows:
    """Return the rows taken, in the order given, with labels, weights and, where the rule asks, soft targets.

    paths  (N,) text, one a row of the selection.
    """
    if len(paths) != len(selection.mean):
        raise ValueError(f"{len(paths)} paths for {len(selection.mean)} photos")
    known_TN = selection.verdict_TN == Verdict.TAKEN
    taken_N = known_TN.any(axis=0)
    label_TN = np.where(known_TN, selection.label_TN, UNKNOWN)[:, taken_N]
    weight_N = np.full(int(taken_N.sum()), rule.weight, dtype=np.float64)
    if rule.weigh:
        weight_N *= _combined(selection.confidence_TN, known_TN, rule)[taken_N]
    return PseudoRows(
        selection.mean.ids[taken_N],
        np.asarray(paths, dtype=np.str_)[taken_N],
        dict(zip(selection.mean.space.names, label_TN, strict=True)),
        sharpened(selection.mean.prob[taken_N], rule.temperature) if rule.soft else None,
        weight_N,
    )


def summary(selection: Selection) -> list[dict[str, Any]]:
    """Count what became of the rows: one line a joint class (`task` is "joint"), then one a class of each task.

    A line holds `task`, `class`, `considered` (rows predicted to be of this class), how many of them were `taken`, or
    left out for `threshold`, `agreement`, `cap` or `balance`, and `confidence`: the mean of the taken, None of none.
    With `partial`, a task may be left out of a row that is taken.
    """
    space = selection.mean.space
    joint_N = space.encode(dict(zip(space.names, selection.label_TN, strict=True)))
    verdict_N = selection.verdict_TN.min(axis=0)
    lines = list(_counted("joint", space.joint_names, joint_N, verdict_N, selection.confidence_N))
    parts = zip(space.tasks, selection.label_TN, selection.verdict_TN, selection.confidence_TN, strict=True)
    return lines + [line for task, *columns in parts for line in _counted(task.name, task.classes, *columns)]


def _counted(
    task: str, classes: Sequence[str], label_N: Ints, verdict_N: Ints, confidence_N: Doubles
) -> Iterator[dict[str, Any]]:
    for label, name in enumerate(classes):
        here_N = label_N == label
        counts = np.bincount(verdict_N[here_N], minlength=len(Verdict)).tolist()
        kept = confidence_N[here_N & (verdict_N == Verdict.TAKEN)]
        yield {
            "task": task,
            "class": name,
            "considered": sum(counts),
            **{verdict.name.lower(): counts[verdict] for verdict in Verdict},
            "confidence": float(kept.mean()) if len(kept) else None,
        }


def _choices(prob_NJ: Floats, space: LabelSpace) -> tuple[Ints, Doubles]:
    """Return each task's most probable class and its marginal probability, (T, N) both."""
    marginals = space.marginals(prob_NJ).values()
    label_TN = np.stack([prob_NC.argmax(axis=1) for prob_NC in marginals]).astype(np.int64)
    highest_TN = np.stack([prob_NC.max(axis=1) for prob_NC in marginals]).astype(np.float64)
    return label_TN, np.minimum(highest_TN, 1)  # rows may sum to a little more than 1


def _combined(confidence_TN: Doubles, which_TN: Bools, rule: Rule) -> Doubles:
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


def _limits(rule: Rule, considered_J: Ints) -> Iterator[tuple[Verdict, Callable[[Ints], Ints]]]:
    """Yield what the rule asks for, in order: the verdict on rows over the limits, and the limits for given counts."""
    if (most := rule.cap_rows) is not None:
        yield Verdict.CAP, lambda count_J: np.full_like(count_J, most)
    if (share := rule.cap_share) is not None:
        yield Verdict.CAP, lambda _: np.floor(share * considered_J + ROUNDING).astype(np.int64)
    if (times := rule.balance) is not None:
        yield Verdict.BALANCE, lambda count_J: balanced(count_J, times)
    if (prior := rule.prior) is not None:
        yield Verdict.BALANCE, lambda count_J: in_proportion(count_J, prior)


def _name_faults(found: Mapping[str, object], known: Sequence[str], prefix: str) -> list[str]:
    strange = []
    for name in (name for name in found if name not in known):
        hint = nearest(name, known)
        strange.append(f"{prefix}{name} is not known" + (f", {hint} is" if hint else ""))
    return strange + [f"{prefix}{name} is missing" for name in known if name not in found]
