"""The learning rate as a function of the step, and the learning rate range test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np

from maskcls.errors import ResultError

Kind = Literal["cosine", "linear", "step", "constant", "onecycle", "wsd", "cosine_restarts", "plateau"]

DIVERGED = 4.0  # times the lowest loss so far; later losses are ignored


@dataclass(frozen=True)
class Schedule:
    """The learning rate over the optimizer steps 0 to total_steps - 1.

    All kinds except onecycle begin with a linear warm-up: peak * (s + 1) / warmup_steps in step s < warmup_steps. Then:

    cosine           half a cosine from peak to peak * end_share (Loshchilov and Hutter 2017, arXiv:1608.03983).
    linear           a straight line from peak to peak * end_share.
    step             peak * gamma ** n after n * every_steps steps.
    constant         peak.
    wsd              warm-up, stable, decay: peak, then a straight line to peak * end_share over the last decay_share of
                     all steps (Hu et al. 2024, arXiv:2404.06395).
    cosine_restarts  `cycles` half cosines of equal length, each from peak towards peak * end_share (as cosine).
    plateau          peak; the caller multiplies it by `plateau_scale`.
    onecycle         half a cosine from peak * start_share up to peak in warmup_steps, then half a cosine down to
                     peak * end_share (Smith and Topin 2019, arXiv:1708.07120).

    After the last step all kinds except step keep their last value. Shares are in [0, 1]; a kind ignores the settings
    that its description does not name.
    """

    kind: Kind
    total_steps: int
    warmup_steps: int = 0
    end_share: float = 0.0
    start_share: float = 1 / 25
    every_steps: int = 1
    gamma: float = 0.1
    cycles: int = 1
    decay_share: float = 0.2


def lr_at(step: int, schedule: Schedule, peak: float) -> float:
    """Return the learning rate of optimizer step `step`, 0-based.

    >>> [round(lr_at(s, Schedule("cosine", total_steps=5, warmup_steps=2), 1.0), 3) for s in range(5)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < schedule.warmup_steps and schedule.kind != "onecycle":
        return peak * (step + 1) / schedule.warmup_steps
    match schedule.kind:
        case "onecycle":
            return peak * _one_cycle(step, schedule)
        case "cosine":
            return peak * _cosine(_progress(step, schedule), schedule.end_share)
        case "linear":
            return peak * _line(_progress(step, schedule), schedule.end_share)
        case "step":
            return peak * schedule.gamma ** ((step - schedule.warmup_steps) // schedule.every_steps)
        case "wsd":
            return peak * _line(_decay_progress(step, schedule), schedule.end_share)
        case "cosine_restarts":
            return peak * _cosine(_cycle_progress(step, schedule), schedule.end_share)
        case "constant" | "plateau":
            return peak
        case _:
            assert_never(schedule.kind)


def _cosine(progress: float, end_share: float) -> float:
    return end_share + (1 - end_share) * 0.5 * (1 + math.cos(math.pi * progress))


def _line(progress: float, end_share: float) -> float:
    return 1 - (1 - end_share) * progress


def _progress(step: int, schedule: Schedule) -> float:
    """Return the progress in [0, 1] from the end of the warm-up to the last step."""
    span = max(1, schedule.total_steps - 1 - schedule.warmup_steps)
    return min(1.0, (step - schedule.warmup_steps) / span)


def _decay_progress(step: int, schedule: Schedule) -> float:
    """Return the progress in [0, 1] from the last step at peak to the last step of all."""
    decay_steps = round(schedule.decay_share * schedule.total_steps)
    first = max(schedule.warmup_steps, schedule.total_steps - decay_steps)
    return 0.0 if step < first else min(1.0, (step - first + 1) / max(1, schedule.total_steps - first))


def _cycle_progress(step: int, schedule: Schedule) -> float:
    """Return the progress in [0, 1) within the current cycle; a cycle has whole steps, so the last may be shorter."""
    length = max(1, -(-(schedule.total_steps - schedule.warmup_steps) // schedule.cycles))
    past = min(step, schedule.total_steps - 1) - schedule.warmup_steps
    return (max(0, past) % length) / length


def _one_cycle(step: int, schedule: Schedule) -> float:
    top = max(0, schedule.warmup_steps - 1)  # the step that has the peak
    if step < top:
        return schedule.start_share + (1 - schedule.start_share) * 0.5 * (1 - math.cos(math.pi * step / top))
    return _cosine(min(1.0, (step - top) / max(1, schedule.total_steps - 1 - top)), schedule.end_share)


def plateau_scale(scores: Sequence[float], *, patience: int, gamma: float) -> float:
    """Return the factor of the learning rate after these validation scores (higher is better).

    It is multiplied by gamma each time `patience` + 1 scores were not better than the best so far; the count then
    starts again. NaN means no score and is ignored.

    >>> plateau_scale([0.5, 0.6, 0.6, 0.55], patience=1, gamma=0.5)
    0.5
    """
    best, stale, scale = -math.inf, 0, 1.0
    for score in scores:
        if score > best:
            best, stale = score, 0
        elif score <= best:
            stale += 1
        if stale > patience:
            scale, stale = scale * gamma, 0
    return scale


def lr_ramp(step: int, low: float, high: float, steps: int) -> float:
    """Return the learning rate of step `step` of a range test of `steps` steps, from low to high by equal factors.

    >>> [round(lr_ramp(s, 0.001, 1.0, 4), 6) for s in range(4)]
    [0.001, 0.01, 0.1, 1.0]
    """
    return float(low * (high / low) ** (step / max(1, steps - 1)))


def lr_range_test(losses: Sequence[float], lrs: Sequence[float]) -> float:
    """Return the learning rate at which the loss fell most steeply over the logarithm of the rate.

    Reference: Smith 2017, arXiv:1506.01186.

    losses   of the steps of a range test, one per rate.
    lrs      the rates, ascending, as `lr_ramp` returns them.

    Losses are smoothed by a centred mean, which has no lag; both ends, without a whole window, are left out. Losses
    from the first that is not finite or above DIVERGED times the lowest before, and those after the lowest, are left
    out too. Raises ResultError when the loss never fell, ValueError unless there are at least four losses and as many
    rates.
    """
    if len(losses) != len(lrs) or len(losses) < 4:
        raise ValueError(f"expected four losses or more and as many rates, got {len(losses)} and {len(lrs)}")
    sane, reach = np.asarray(losses[: _sane(losses)], np.float64), max(1, len(losses) // 20)
    width = 2 * reach + 1
    smooth = np.convolve(sane, np.full(width, 1 / width), "valid") if len(sane) > width else np.zeros(1)
    lowest = int(np.argmin(smooth))
    if lowest == 0:
        raise ResultError(
            "no learning rate of the range test lowered the loss",
            got=f"a loss of {losses[0]:.4g} at the rate {lrs[0]:.3g}, and nothing lower before it grew",
            fix="start the test at a lower rate, or use more steps",
        )
    slopes = np.gradient(smooth, np.log(np.asarray(lrs[reach : reach + len(smooth)], np.float64)))
    return float(lrs[reach + int(np.argmin(slopes[: lowest + 1]))])


def _sane(losses: Sequence[float]) -> int:
    """Return the number of losses before the first that shows divergence."""
    lowest = math.inf
    for index, loss in enumerate(losses):
        if not math.isfinite(loss) or loss > DIVERGED * lowest:
            return index
        lowest = min(lowest, loss)
    return len(losses)
