"""The forecast of a stage, and the choice of the next one: computed by hand."""

from __future__ import annotations

import pytest

from maskcls.runs.stages.forecasting import GROWTH, MARGIN, StageCost, measures, next_stage, planned_stages
from maskcls.runs.stages.ladder import StageSettings

RUNGS = [StageSettings(size=(64, 48), epochs=epochs, folds=2, seeds=1) for epochs in range(1, 6)]
SECONDS = [10.0, 20.0, 40.0, 100.0, 400.0]
HEADS = StageSettings(size=(128, 96), epochs=0, folds=5, seeds=1)


def test_a_forecast_divides_a_stage_into_its_parts() -> None:
    cost = StageCost(work=100, networks=2, trained_s=20, networks_s=30, whole_s=45)

    assert cost.forecast_s(100, 2) == 45  # the same again
    assert cost.forecast_s(200, 2) == 65  # twice the work: 20 s more
    assert cost.forecast_s(100, 6) == 65  # three times as many networks: 10 s around them become 30 s


@pytest.mark.parametrize(
    ("done", "left_s", "passed_s", "expected"),
    [
        (0, 1000, 50, 4),  # 400 * 1.25 = 500 fit, and 400 is 8 times 50
        (0, 1000, 49, 3),  # 400 is more than 8 times 49
        (0, 499, 50, 3),  # 500 do not fit
        (0, 124, 50, 2),
        (0, 25, 50, 1),
        (0, 24.9, 50, None),
        (0, 1000, 1, 1),  # none is 8 times 1 or less: the smallest that fits
        (3, 1000, 50, 4),
        (4, 1000, 50, None),  # the ladder is at its end
        (-1, 1000, 1, 0),
    ],
)
def test_the_largest_stage_that_fits_and_is_near_comes_next(
    done: int, left_s: float, passed_s: float, expected: int | None
) -> None:
    assert (MARGIN, GROWTH) == (1.25, 8)
    assert next_stage(RUNGS, done, SECONDS, left_s=left_s, passed_s=passed_s) == expected


def test_the_planned_stages_follow_the_same_rule() -> None:
    # 10 s are over: 40 is the largest of at most 80. Then 50 s are over, 550 are left: 400 * 1.25 fit, and are near.
    assert planned_stages(RUNGS, SECONDS, 600) == [0, 2, 4]
    assert planned_stages(RUNGS, SECONDS, 10) == [0]
    assert planned_stages(RUNGS, SECONDS, 9) == []


def test_the_first_stage_and_the_first_that_trains_networks_have_no_forecast() -> None:
    assert [measures([HEADS, *RUNGS], place) for place in range(4)] == [True, True, False, False]
    assert [measures(RUNGS, place) for place in range(3)] == [True, False, False]
    assert [measures([HEADS, HEADS, HEADS], place) for place in range(3)] == [True, False, False]
    assert not measures([HEADS], 1)  # there is no such stage
    assert next_stage([HEADS, *RUNGS], 0, [30, *SECONDS], left_s=5, passed_s=30) == 1  # whether it fits or not
    assert next_stage([HEADS], 0, [30], left_s=1000, passed_s=30) is None


@pytest.mark.parametrize(
    ("limit_s", "expected"),
    [
        (29, []),
        (39, [0]),
        (40, [0, 1]),
        # 40 s are over, 560 left: 400 is more than 8 times 40, so 100. Then 460 are left: 400 * 1.25 do not fit.
        (600, [0, 1, 4]),
        (640, [0, 1, 4, 5]),
    ],
)
def test_after_fitted_heads_the_plan_goes_on_as_without_them(limit_s: float, expected: list[int]) -> None:
    assert planned_stages([HEADS, *RUNGS], [30, *SECONDS], limit_s) == expected
