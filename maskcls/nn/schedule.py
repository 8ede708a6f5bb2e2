"""The learning rate as a function of the step, and the range test that finds a good one."""

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
    """How the learning rate goes from the first step, 0, to the last, total_steps - 1.

    Every kind warms up first: step s < warmup_steps has peak * (s + 1) / warmup_steps. What follows:

    cosine           half a cosine to peak * end_share (Loshchilov and Hutter 2017, arXiv:1608.03983).
    linear           a straight line there.
    step             peak * gamma ** n, after n times every_steps steps.
    constant         peak.
    wsd              warm-up, stable, decay: peak, and over the last decay_share of all steps a straight line to
                     peak * end_share (Hu et al. 2024, arXiv:2404.06395).
    cosine_restarts  `cycles` half cosines of one length, each from peak towards peak * end_share (as cosine).
    plateau          peak; the caller lowers it by `plateau_scale`.
    onecycle         the warm-up is half a cosine from peak * start_share, and another one falls to peak * end_share
                     (Smith and Topin 2019, arXiv:1708.07120).

    All but step and constant stand still past the end. Shares are in [0, 1]; a setting that a kind does not name is
    not looked at.
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
    """The share of the way from the end of the warm-up to the last step."""
    span = max(1, schedule.total_steps - 1 - schedule.warmup_steps)
    return min(1.0, (step - schedule.warmup_steps) / span)


def _decay_progress(step: int, schedule: Schedule) -> float:
    """The share of the way from the last stable step to the last of all."""
    decay_steps = round(schedule.decay_share * schedule.total_steps)
    first = max(schedule.warmup_steps, schedule.total_steps - decay_steps)
    return 0.0 if step < first else min(1.0, (step - first + 1) / max(1, schedule.total_steps - first))


def _cycle_progress(step: int, schedule: Schedule) -> float:
    """The share of the running cycle that is behind; a cycle has whole steps, so the last may be cut short."""
    length = max(1, -(-(schedule.total_steps - schedule.warmup_steps) // schedule.cycles))
    past = min(step, schedule.total_steps - 1) - schedule.warmup_steps
    return (max(0, past) % length) / length


def _one_cycle(step: int, schedule: Schedule) -> float:
    top = max(0, schedule.warmup_steps - 1)  # the step that has the peak
    if step < top:
        return schedule.start_share + (1 - schedule.start_share) * 0.5 * (1 - math.cos(math.pi * step / top))
    return _cosine(min(1.0, (step - top) / max(1, schedule.total_steps - 1 - top)), schedule.end_share)


def plateau_scale(scores: Sequence[float], *, patience: int, gamma: float) -> float:
    """Return what the learning rate is multiplied by after these validation scores, of which higher is better.

    It falls by gamma each time `patience` scores in a row and one more were no better than the best before, and the
    count then starts again. A NaN, which means no score, does not count.

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
    """Return the learning rate of step `step` of a range test: `steps` of them, from low to high by equal factors.

    >>> [round(lr_ramp(s, 0.001, 1.0, 4), 6) for s in range(4)]
    [0.001, 0.01, 0.1, 1.0]
    """
    return float(low * (high / low) ** (step / max(1, steps - 1)))


def lr_range_test(losses: Sequence[float], lrs: Sequence[float]) -> float:
    """Return the learning rate at which the loss fell most steeply, by the logarithm of the rate.

    Reference: Smith 2017, arXiv:1506.01186.

    losses   of the steps of a range test, one per rate.
    lrs      the rates, ascending, as `lr_ramp` gives them.

    What comes after a loss that is not finite, or DIVERGED times the lowest before, is left out; so is what comes
    after the lowest. Losses are means over a window centred on each, which does not lag behind as a running mean does;
    the ends, which have no whole window, are left out too. Raises ResultError when the loss never fell, ValueError
    unless there are four losses or more, one for each rate.
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
            fix="begin the test at a lower rate, or give it more steps",
        )
    slopes = np.gradient(smooth, np.log(np.asarray(lrs[reach : reach + len(smooth)], np.float64)))
    return float(lrs[reach + int(np.argmin(slopes[: lowest + 1]))])


def _sane(losses: Sequence[float]) -> int:
    """The number of losses before the first that shows divergence."""
    lowest = math.inf
    for index, loss in enumerate(losses):
        if not math.isfinite(loss) or loss > DIVERGED * lowest:
            return index
        lowest = min(lowest, loss)
    return len(losses)
