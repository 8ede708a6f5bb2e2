"""The learning rate by hand, and against torch's and timm's schedulers where they mean the same."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
import torch
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from torch.optim import lr_scheduler as theirs

from maskcls.errors import ResultError
from maskcls.nn.schedule import Kind, Schedule, lr_at, lr_ramp, lr_range_test, plateau_scale


def rates(schedule: Schedule, peak: float = 1.0, steps: int | None = None) -> list[float]:
    return [lr_at(step, schedule, peak) for step in range(steps or schedule.total_steps)]


def torchs(make: Any, peak: float, steps: int, **options: Any) -> list[float]:
    """Return the rates of a torch scheduler that is stepped after every optimizer step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    scheduler, found = make(optimizer, **options), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # past its end torch's one-cycle warns
            scheduler.step()
    return found


# --- by hand

TABLE = [  # kind, settings, peak, rates
    # thirds of a cosine: 0.1 + 0.9 * (1, 3/4, 1/4, 0)
    ("cosine", {"warmup_steps": 2, "total_steps": 6, "end_share": 0.1}, 1.0, [0.5, 1.0, 1.0, 0.775, 0.325, 0.1]),
    ("cosine", {"total_steps": 3}, 2.0, [2.0, 1.0, 0.0]),
    ("cosine", {"total_steps": 1, "end_share": 0.5}, 3.0, [3.0]),  # the only step is the first: it has the peak
    ("cosine", {"warmup_steps": 4, "total_steps": 4}, 1.0, [0.25, 0.5, 0.75, 1.0]),
    ("cosine", {"warmup_steps": 3, "total_steps": 4}, 3.0, [1.0, 2.0, 3.0, 3.0]),
    ("cosine", {"warmup_steps": 1, "total_steps": 4, "end_share": 1.0}, 1.0, [1.0, 1.0, 1.0, 1.0]),
    ("linear", {"warmup_steps": 2, "total_steps": 5, "end_share": 0.5}, 2.0, [1.0, 2.0, 2.0, 1.5, 1.0]),
    ("constant", {"warmup_steps": 2, "total_steps": 4}, 2.0, [1.0, 2.0, 2.0, 2.0]),
    ("plateau", {"warmup_steps": 2, "total_steps": 4}, 2.0, [1.0, 2.0, 2.0, 2.0]),
    # every two steps after the warm-up a half
    (
        "step",
        {"warmup_steps": 2, "total_steps": 7, "every_steps": 2, "gamma": 0.5},
        4.0,
        [2.0, 4.0, 4.0, 4.0, 2.0, 2.0, 1.0],
    ),
    # 40 % of ten steps decay: 1 stable until step 5, then quarters of the way to 0.2
    (
        "wsd",
        {"warmup_steps": 2, "total_steps": 10, "decay_share": 0.4, "end_share": 0.2},
        1.0,
        [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2],
    ),
    ("wsd", {"total_steps": 3, "decay_share": 0.0, "end_share": 0.2}, 1.0, [1.0, 1.0, 1.0]),
    ("wsd", {"warmup_steps": 2, "total_steps": 4, "decay_share": 1.0}, 1.0, [0.5, 1.0, 0.5, 0.0]),
    # two cycles of two steps: cos 0 and cos 90 degrees
    (
        "cosine_restarts",
        {"warmup_steps": 1, "total_steps": 5, "cycles": 2, "end_share": 0.5},
        1.0,
        [1.0, 1.0, 0.75, 1.0, 0.75],
    ),
    # seven steps in three cycles: 3, 3 and 1
    ("cosine_restarts", {"total_steps": 7, "cycles": 3}, 1.0, [1.0, 0.75, 0.25, 1.0, 0.75, 0.25, 1.0]),
    # rises by a half cosine to its third step, falls by another
    (
        "onecycle",
        {"warmup_steps": 3, "total_steps": 5, "start_share": 0.5, "end_share": 0.1},
        1.0,
        [0.5, 0.75, 1.0, 0.55, 0.1],
    ),
    ("onecycle", {"total_steps": 3}, 1.0, [1.0, 0.5, 0.0]),
    ("onecycle", {"warmup_steps": 2, "total_steps": 2, "start_share": 0.5}, 1.0, [0.5, 1.0]),
]


@pytest.mark.parametrize(("kind", "settings", "peak", "want"), TABLE)
def test_rates_by_hand(kind: Kind, settings: dict[str, Any], peak: float, want: list[float]) -> None:
    assert rates(Schedule(kind, **settings), peak) == pytest.approx(want, abs=1e-12)


def test_every_kind_is_in_the_table() -> None:
    assert {row[0] for row in TABLE} == set(get_args(Kind))
    assert len(get_args(Kind)) == 8


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("warmup", [0, 1, 7, 20])
def test_rates_are_positive_shares_of_the_peak_and_scale_with_it(kind: Kind, warmup: int) -> None:
    schedule = Schedule(kind, total_steps=30, warmup_steps=warmup, end_share=0.1, every_steps=8, cycles=3, gamma=0.5)
    found = rates(schedule, 1.0, 90)
    assert all(0 < rate <= 1 for rate in found)
    assert found[max(0, warmup - 1)] == 1.0
    assert rates(schedule, 0.25, 90) == [rate / 4 for rate in found]
    if kind not in ("step", "constant"):  # past the end it stands still
        assert set(found[30:]) == {found[29]}
    if warmup and kind != "onecycle":
        assert found[:warmup] == [(step + 1) / warmup for step in range(warmup)]


def test_the_cosine_is_continuous_falls_and_stays_at_its_end() -> None:
    found = rates(Schedule("cosine", total_steps=400, warmup_steps=50, end_share=0.2), 0.3, 1000)
    assert found[49] == found[50] == 0.3  # the last step of the warm-up and the first of the cosine
    assert all(b > a for a, b in pairwise(found[:50]))
    assert all(b < a for a, b in pairwise(found[50:400]))
    assert max(abs(b - a) for a, b in pairwise(found)) <= 0.3 / 50 + 1e-12
    assert found[399] == pytest.approx(0.06)
    assert set(found[399:]) == {found[399]}


@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (0, 37), (5, 37), (37, 37), (1, 400)])
@pytest.mark.parametrize(("peak", "end_share"), [(3e-4, 0.01), (1.0, 0.0), (0.7, 1.0)])
def test_the_cosine_is_to_the_bit_what_it_was(warmup: int, total: int, peak: float, end_share: float) -> None:
    """Runs that were trained before there were other kinds resume, and repeat."""
    for step in range(total + 5):
        if step < warmup:
            want = peak * (step + 1) / warmup
        else:
            progress = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
            want = peak * (end_share + (1 - end_share) * 0.5 * (1 + math.cos(math.pi * progress)))
        schedule = Schedule("cosine", total_steps=total, warmup_steps=warmup, end_share=end_share)
        assert lr_at(step, schedule, peak) == want


# --- against others


def test_step_equals_torchs() -> None:
    want = torchs(theirs.StepLR, 0.3, 25, step_size=7, gamma=0.2)
    assert rates(Schedule("step", total_steps=25, every_steps=7, gamma=0.2), 0.3) == pytest.approx(want)


def test_step_equals_timms_after_the_warm_up() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = StepLRScheduler(optimizer, decay_t=6, decay_rate=0.5, warmup_t=4, warmup_prefix=True)
    found = rates(Schedule("step", total_steps=30, warmup_steps=4, every_steps=6, gamma=0.5), 0.3)
    assert found[4:] == pytest.approx([scheduler._get_lr(step)[0] for step in range(4, 30)])


def test_linear_equals_torchs() -> None:
    want = torchs(theirs.LinearLR, 0.3, 40, start_factor=1.0, end_factor=0.05, total_iters=29)
    assert rates(Schedule("linear", total_steps=30, end_share=0.05), 0.3, 40) == pytest.approx(want)


def test_the_warm_up_equals_torchs() -> None:
    want = torchs(theirs.LinearLR, 0.3, 12, start_factor=1 / 8, end_factor=1.0, total_iters=7)
    assert rates(Schedule("constant", total_steps=12, warmup_steps=8), 0.3) == pytest.approx(want)


@pytest.mark.parametrize(("start_share", "end_share"), [(1 / 25, 1 / 250), (0.1, 0.001)])
def test_one_cycle_equals_torchs(start_share: float, end_share: float) -> None:
    want = torchs(
        theirs.OneCycleLR,
        0.3,
        40,
        max_lr=0.3,
        total_steps=40,
        pct_start=0.3,
        cycle_momentum=False,
        div_factor=1 / start_share,
        final_div_factor=start_share / end_share,
    )
    schedule = Schedule("onecycle", total_steps=40, warmup_steps=12, start_share=start_share, end_share=end_share)
    assert rates(schedule, 0.3) == pytest.approx(want)


def test_restarts_equal_torchs_and_timms() -> None:
    found = rates(Schedule("cosine_restarts", total_steps=36, cycles=3, end_share=0.1), 0.3)
    assert found == pytest.approx(torchs(theirs.CosineAnnealingWarmRestarts, 0.3, 36, T_0=12, eta_min=0.03))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = CosineLRScheduler(optimizer, t_initial=12, lr_min=0.03, cycle_limit=3)
    assert found == pytest.approx([scheduler._get_lr(step)[0] for step in range(36)])


# --- plateau


def test_the_plateau_by_hand() -> None:
    nan = math.nan
    table: list[tuple[list[float], int, float]] = [
        ([], 0, 1.0),
        ([0.1], 0, 1.0),
        ([0.1, 0.1], 0, 0.5),
        ([0.1, 0.1, 0.1], 0, 0.25),
        ([0.1, 0.2, 0.1, 0.3], 1, 1.0),
        ([0.3, 0.2, 0.1, 0.4, 0.3, 0.3, 0.3, 0.3], 1, 0.125),
        ([nan, nan, nan], 0, 1.0),
        ([0.3, nan, 0.2, nan], 1, 1.0),
    ]
    for scores, patience, want in table:
        assert plateau_scale(scores, patience=patience, gamma=0.5) == want, scores


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_the_plateau_equals_torchs(patience: int) -> None:
    scores = np.round(np.random.default_rng(patience).random(60), 1).tolist()  # with ties
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = theirs.ReduceLROnPlateau(optimizer, "max", factor=0.7, patience=patience, threshold=0.0, eps=0.0)
    for count, score in enumerate(scores, 1):
        scheduler.step(score)
        found = plateau_scale(scores[:count], patience=patience, gamma=0.7)
        assert found == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert found < 0.5


# --- the range test


def curve(lrs: np.ndarray, *, steepest: float, worse: float) -> np.ndarray:
    """Return losses that fall from 3 to 1 most steeply at one rate, and grow without bound from another on."""
    fall = 1 + 2 / (1 + (lrs / steepest) ** 2)
    return fall + np.maximum(0, np.log(lrs / worse)) ** 3 * 50


@pytest.mark.parametrize("steepest", [1e-5, 3e-4, 1e-3])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_steepest_descent_is_found(steepest: float, noise: float) -> None:
    lrs = np.array([lr_ramp(step, 1e-7, 1.0, 300) for step in range(300)])
    losses = curve(lrs, steepest=steepest, worse=0.03) + noise * np.random.default_rng(0).normal(size=300)
    found = lr_range_test(losses.tolist(), lrs.tolist())
    assert found in lrs
    # within a step of 5 %; the noise, twice the steepest fall of a step, moves it by less than a factor of 2
    assert abs(math.log(found / steepest)) < (0.06 if noise == 0 else math.log(2))


def test_a_fall_after_divergence_does_not_count() -> None:
    lrs = [lr_ramp(step, 1e-6, 1.0, 100) for step in range(100)]
    losses = curve(np.array(lrs), steepest=1e-4, worse=1e-2)
    want = lr_range_test(losses.tolist(), lrs)
    cut = int(np.argmax(losses > 4 * losses.min()))
    again = [*losses[: cut + 1].tolist(), *np.linspace(50, 0.0, 99 - cut).tolist()]  # blows up, then falls to nothing
    assert lr_range_test(again, lrs) == want
    for last in (math.nan, math.inf):
        assert lr_range_test([*losses[:cut].tolist(), last, *[0.0] * (99 - cut)], lrs) == want


def test_a_steeper_fall_after_the_lowest_does_not_count() -> None:
    lrs = [lr_ramp(step, 1e-6, 1.0, 100) for step in range(100)]
    losses = curve(np.array(lrs), steepest=1e-4, worse=1e6)
    want = lr_range_test(losses.tolist(), lrs)
    losses[80:90], losses[90:] = np.linspace(1.2, 3.0, 10), 1.1  # up to less than four times the lowest, and down
    assert lr_range_test(losses.tolist(), lrs) == want


def test_the_unit_of_the_loss_makes_no_difference() -> None:
    lrs = [lr_ramp(step, 1e-6, 1.0, 100) for step in range(100)]
    losses = curve(np.array(lrs), steepest=1e-4, worse=1e-2)
    assert lr_range_test((1000 * losses).tolist(), lrs) == lr_range_test(losses.tolist(), lrs)


def test_a_loss_that_never_falls_is_an_error() -> None:
    lrs = [lr_ramp(step, 1e-6, 1.0, 50) for step in range(50)]
    for losses in (np.linspace(1, 3, 50).tolist(), [1.0] * 50, [1.0, *[math.nan] * 49], [math.nan] * 50):
        with pytest.raises(ResultError, match="no learning rate"):
            lr_range_test(losses, lrs)
    with pytest.raises(ValueError, match="got 2 and 3"):
        lr_range_test([1.0, 2.0], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="got 3 and 3"):
        lr_range_test([3.0, 2.0, 1.0], [0.1, 0.2, 0.3])


def test_the_ramp_grows_by_equal_factors() -> None:
    found = [lr_ramp(step, 1e-6, 2.0, 50) for step in range(50)]
    assert (found[0], found[-1]) == pytest.approx((1e-6, 2.0))
    factors = [b / a for a, b in pairwise(found)]
    assert factors == pytest.approx([2e6 ** (1 / 49)] * 49)
    assert lr_ramp(0, 0.1, 1.0, 1) == 0.1
