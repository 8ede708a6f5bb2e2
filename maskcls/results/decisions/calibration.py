"""Calibration: the error of the probabilities, and one temperature per task that reduces it.

N rows, C classes of a task, J joint classes, T tasks. Rows without a label (-1) are left out. Temperatures and
tables belong on out-of-fold rows: on its own training rows every network looks surer and better than it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from maskcls.files import none_for_nan
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.scores.metrics import Doubles

Probabilities = NDArray[np.floating[Any]]
Binning = Literal["width", "mass"]

LOWEST, HIGHEST = 0.05, 20.0  # temperatures looked at; beyond them every row is as good as sure, or as good as even
LEAST = float(np.finfo(np.float32).eps)  # what a log loss reckons with at least, as scikit-learn does for float32
TINY = float(np.finfo(np.float32).tiny)  # replaces a probability that float32 has rounded to 0
GRID = 41  # 15 % apart
ROUNDS, CLOSE = 1000, 1e-7  # of proportional fitting; a product of tasks is there after the first


@dataclass(frozen=True)
class Bin:
    """Rows with a confidence in (low, high]: their number, mean confidence and accuracy; both NaN without rows."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Quality:
    """Quality of the probabilities of one labelling; for every number, lower is better.

    log_loss  mean of -log(probability of the truth), in nats, with probabilities below 1.2e-7 raised to it.
    brier     mean squared distance between row and truth, summed over the classes: 0..2.
    ece       expected calibration error: the bins' |accuracy - confidence|, weighted by their rows; 0..1.
    rows      rows with known truth; the other numbers are NaN when there are none.
    bins      the reliability table.
    """

    log_loss: float
    brier: float
    ece: float
    rows: int
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a NaN becomes None."""
        bins = [{name: none_for_nan(value) for name, value in asdict(one).items()} for one in self.bins]
        return {**{name: none_for_nan(value) for name, value in asdict(self).items()}, "bins": bins}


@dataclass(frozen=True)
class Qualities:
    """The joint rows over the images whose tasks are all known, and each task's marginal over those it is known of."""

    joint: Quality
    tasks: Mapping[str, Quality]

    def to_json(self) -> dict[str, Any]:
        """Return plain data: `joint`, and `tasks` by name."""
        return {"joint": self.joint.to_json(), "tasks": {name: one.to_json() for name, one in self.tasks.items()}}


def qualities(
    prob_NJ: Probabilities, truth: Mapping[str, Ints], space: LabelSpace, *, bins: int = 15, by: Binning = "width"
) -> Qualities:
    """Return the quality of joint probabilities (N, J) and of every task's marginals.

    truth  {task: (N,) int}, every task of the space; -1 = unknown.
    bins   as for `reliability`, and `by` too.
    """
    marginals = space.marginals(prob_NJ)
    tasks = {name: quality(marginals[name], truth[name], bins=bins, by=by) for name in space.names}
    return Qualities(quality(prob_NJ, space.encode(truth), bins=bins, by=by), tasks)


def quality(prob_NC: Probabilities, true_N: Ints, *, bins: int = 15, by: Binning = "width") -> Quality:
    """Return log loss, Brier score, calibration error and reliability table of probabilities.

    References: Brier 1950, Monthly Weather Review 78; Guo et al. 2017, arXiv:1706.04599, for the calibration error,
    whose confidence is the row's highest probability.

    prob_NC  (N, C) float, rows sum to 1.
    true_N   (N,) int, 0..C-1, or -1 for a row to leave out.

    Raises ValueError for unequal lengths or labels outside the classes.

    >>> found = quality(np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([0, 1]), bins=2)
    >>> round(found.log_loss, 4), round(found.brier, 4), round(found.ece, 4)  # one bin holds both: |1/2 - 0.7|
    (0.5697, 0.4, 0.2)
    """
    prob_NC, true_N = _known(prob_NC, true_N)
    hit_N = prob_NC[np.arange(len(true_N)), true_N]
    best_N = prob_NC.argmax(axis=1)
    table = reliability(prob_NC[np.arange(len(true_N)), best_N], best_N == true_N, bins=bins, by=by)
    if not len(true_N):
        return Quality(math.nan, math.nan, math.nan, 0, table)
    log_loss = float(-np.log(np.clip(hit_N, LEAST, 1)).mean())
    brier = float(((prob_NC**2).sum(axis=1) - 2 * hit_N + 1).mean())
    return Quality(log_loss, brier, _calibration_error(table), len(true_N), table)


def reliability(
    confidence_N: Probabilities, correct_N: NDArray[np.bool_], *, bins: int = 15, by: Binning = "width"
) -> tuple[Bin, ...]:
    """Sort rows into bins of confidence and return each bin's mean confidence and accuracy.

    confidence_N  (N,) float in [0, 1].
    bins          how many, at least 1.
    by            "width": equally wide parts of [0, 1]. "mass": between the confidences' own quantiles, so that the
                  bins hold equally many rows, but for ties.

    Returns the bins in order, empty ones too; a bin holds its upper edge. Raises ValueError for fewer than one bin.
    """
    if bins < 1:
        raise ValueError(f"there must be at least one bin, got {bins}")
    confidence_N, parts = np.asarray(confidence_N, dtype=np.float64), np.linspace(0, 1, bins + 1)
    match by:
        case "width":
            edges = parts
        case "mass":
            edges = np.quantile(confidence_N, parts) if len(confidence_N) else parts
        case _:
            assert_never(by)
    place_N = np.searchsorted(edges[1:-1], confidence_N)
    rows = np.bincount(place_N, minlength=bins)
    with np.errstate(invalid="ignore"):  # an empty bin has no mean
        confidence = np.bincount(place_N, confidence_N, minlength=bins) / rows
        accuracy = np.bincount(place_N, correct_N, minlength=bins) / rows
    columns = (edges[:-1], edges[1:], rows, confidence, accuracy)
    return tuple(Bin(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


def fit_temperatures(prob_NJ: Probabilities, truth: Mapping[str, Ints], space: LabelSpace) -> dict[str, float]:
    """Fit every task's temperature on its marginals: {task: temperature}.

    prob_NJ  (N, J) float, joint probabilities of rows the network was not trained on.
    truth    as for `qualities`.

    Raises ValueError when no row of a task is known.
    """
    marginals = space.marginals(prob_NJ)
    return {name: fit_temperature(marginals[name], truth[name]) for name in space.names}


def fit_temperature(prob_NC: Probabilities, true_N: Ints) -> float:
    """Return the temperature in 0.05..20 with which `scaled_rows` has the lowest log loss.

    Reference: Guo et al. 2017, arXiv:1706.04599.

    Above 1 the rows are too sure of themselves, below 1 not sure enough; no row's order of classes changes. The loss is
    that of `quality`, in which no row counts for more than 16 nats: a handful that are hopelessly wrong, as some photos
    make every network, would otherwise soften all the others.

    prob_NC, true_N  as for `quality`. Raises ValueError when no row has a label.
    """
    from scipy.optimize import minimize_scalar

    prob_NC, true_N = _known(prob_NC, true_N)
    if not len(true_N):
        raise ValueError("no row has a known truth")
    logs_NC = log_rows(prob_NC)
    hits_N = logs_NC[np.arange(len(true_N)), true_N]

    def loss(log_temperature: float) -> float:
        sharpness = math.exp(-log_temperature)
        return float(np.minimum(_log_total(sharpness * logs_NC)[:, 0] - sharpness * hits_N, -math.log(LEAST)).mean())

    # With its ceiling the loss may have more than one dip: the deepest of a grid, then its bottom.
    grid = np.linspace(math.log(LOWEST), math.log(HIGHEST), GRID)
    place = int(np.argmin([loss(x) for x in grid]))
    bounds = (grid[max(place - 1, 0)], grid[min(place + 1, GRID - 1)])
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)


def scaled_rows(prob_NC: Probabilities, temperature: float) -> Doubles:
    """Return the rows (N, C) to the power 1 / temperature, summing to 1 again.

    >>> scaled_rows(np.array([[0.9, 0.1]]), 2.0).round(4).tolist()  # odds of 9 become odds of 3
    [[0.75, 0.25]]
    """
    logs_NC = log_rows(prob_NC) / temperature
    rows_NC: Doubles = np.exp(logs_NC - _log_total(logs_NC))
    return rows_NC


def scaled(prob_NJ: Probabilities, temperatures: Mapping[str, float], space: LabelSpace) -> Floats:
    """Apply every task's temperature to its marginal, and keep the dependence between the tasks.

    Reference: Deming and Stephan 1940, Annals of Mathematical Statistics 11, proportional fitting; Csiszár 1975,
    Annals of Probability 3: of all rows with the marginals asked for, its limit is the nearest to the given one.

    Joint classes are multiplied by (marginal asked for / marginal there is), one task after the other, until all are
    met. Where the tasks are independent, as the product of several heads is, that is the product of the scaled
    marginals and the first round is exact. In a joint network's rows the odds ratios between tasks stay as they are.
    One round would not do there: where two tasks always go together it would soften both for each of them.

    prob_NJ       (N, J) float, rows sum to 1.
    temperatures  {task: above 0}, every task of the space.

    Returns (N, J) float32; rows sum to 1 within float32's rounding, marginals meet `scaled_rows` within 1e-6 unless a
    row all but rules out what they ask for.
    """
    grid = np.maximum(np.asarray(prob_NJ, dtype=np.float64), TINY).reshape(-1, *space.shape)
    marginals = space.marginals(prob_NJ)
    targets = [scaled_rows(marginals[name], temperatures[name]) for name in space.names]
    left = np.arange(len(grid))  # rows that go together closely take many rounds, and the others need not wait for them
    for _ in range(ROUNDS):
        part = grid[left]
        worst = np.max([_fit_axis(part, axis, target[left]) for axis, target in enumerate(targets, 1)], axis=0)
        grid[left], left = part, left[worst >= CLOSE]
        if not len(left):
            break
    return grid.reshape(len(grid), -1).astype(np.float32)


def log_rows(prob_NC: Probabilities) -> Doubles:
    """Return the rows' natural logarithms as float64; a probability that float32 has rounded to 0 counts as 1.2e-38."""
    logs_NC: Doubles = np.log(np.maximum(np.asarray(prob_NC, dtype=np.float64), TINY))
    return logs_NC


def _fit_axis(grid: Doubles, axis: int, target_NC: Doubles) -> Doubles:
    """Scale one task's classes in place to their probabilities; return the largest absolute correction (N,)."""
    others = tuple(a for a in range(1, grid.ndim) if a != axis)
    found = grid.sum(axis=others, keepdims=True)
    target = target_NC.reshape(found.shape)
    grid *= target / found
    missing_N: Doubles = np.abs(target - found).reshape(len(grid), -1).max(axis=1)
    return missing_N


def _calibration_error(table: tuple[Bin, ...]) -> float:
    total = sum(one.rows for one in table)
    return sum(one.rows * abs(one.accuracy - one.confidence) for one in table if one.rows) / total


def _known(prob_NC: Probabilities, true_N: Ints) -> tuple[Doubles, Ints]:
    prob_NC, true_N = np.asarray(prob_NC, dtype=np.float64), np.asarray(true_N)
    if prob_NC.ndim != 2 or true_N.shape != prob_NC.shape[:1]:
        raise ValueError(f"probabilities {prob_NC.shape} and truth {true_N.shape} do not fit together")
    if true_N.size and (true_N.min() < UNKNOWN or true_N.max() >= prob_NC.shape[1]):
        raise ValueError(f"truth must lie in -1..{prob_NC.shape[1] - 1}")
    known_N = true_N != UNKNOWN
    return prob_NC[known_N], true_N[known_N]


def _log_total(logs_NC: Doubles) -> Doubles:
    """Return log(sum(exp)) of each row, (N, 1), without overflow."""
    top_N1 = logs_NC.max(axis=1, keepdims=True)
    total: Doubles = np.log(np.exp(logs_NC - top_N1).sum(axis=1, keepdims=True)) + top_N1
    return total
