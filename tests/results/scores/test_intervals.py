"""Confidence and prediction intervals: known formulas, coverage on drawn people, and what they must not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from maskcls.labels import Ints
from maskcls.results.scores import metrics
from maskcls.results.scores.influence import score_influence
from maskcls.results.scores.intervals import (
    difference_interval,
    difference_prediction,
    macro_f1_intervals,
    quantile,
    score_interval,
    score_prediction,
    share_interval,
)
from maskcls.results.scores.person_counts import count_people


def ints(*values: int) -> Ints:
    return np.array(values, dtype=np.int64)


def photos(people: int, seed: int = 0, *, known: float = 0.7) -> tuple[Ints, Ints, list[str]]:
    """Seven photos a person; a person the model knows is right on nearly all of them, others on few."""
    rng = np.random.default_rng(seed)
    true_N = np.repeat(rng.integers(6, size=people), 7)
    known_N = np.repeat(rng.random(people) < known, 7)
    right_N = rng.random(len(true_N)) < np.where(known_N, 0.97, 0.1)
    pred_N = np.where(right_N, true_N, rng.integers(6, size=len(true_N)))
    return true_N, pred_N, [f"p{i // 7}" for i in range(len(true_N))]


def test_the_quantile_is_student_s() -> None:
    assert quantile(7, 0.9) == pytest.approx(student.ppf(0.95, 7))
    assert quantile(2000) == pytest.approx(1.961, abs=1e-3)


def test_a_score_s_interval_is_symmetric_on_the_logit() -> None:
    found = score_influence(count_people(*photos(80), 6))
    interval = score_interval(found, 0.9)

    def logit(share: float) -> float:
        return math.log(share / (1 - share))

    middle, se = found.value - found.bias, math.sqrt(found.variance + found.few)
    reach = student.ppf(0.95, found.freedom) * se / (middle * (1 - middle))
    assert (logit(interval.low), logit(interval.high)) == (
        pytest.approx(logit(middle) - reach),
        pytest.approx(logit(middle) + reach),
    )
    assert interval.level == 0.9


def test_without_any_error_the_interval_reaches_1_and_not_far_down() -> None:
    true_N = np.repeat(np.arange(40) % 4, 2)
    found = macro_f1_intervals(true_N, true_N, np.repeat(np.arange(40), 2), 4)
    assert found.confidence.high == found.prediction.high == 1.0
    # Wilson's interval of 40 people; exactly, 1 - 0.025 ** (1 / 40) = 9 % of all people may be wrong
    assert found.confidence.low == pytest.approx(1 / (1 + student.ppf(0.975, 39) ** 2 / 40))
    assert 0.87 < found.confidence.low < 0.92
    assert found.prediction.low < found.confidence.low


def test_new_people_spread_more_the_fewer_they_are() -> None:
    found = score_influence(count_people(*photos(200), 6))
    widths = [(p := score_prediction(found, people)).high - p.low for people in (50, 200, 800, 10**9)]
    assert widths == sorted(widths, reverse=True)
    interval = score_interval(found)
    assert widths[-1] == pytest.approx(interval.high - interval.low, rel=1e-4)  # endless people: the true score
    assert widths[1] / widths[-1] == pytest.approx(math.sqrt(2), rel=0.05)  # as many people: twice the variance
    for people in (50, 200):
        assert score_prediction(found, people).people == people


def test_coverage_on_drawn_people() -> None:
    """At 40 people 95 % intervals cover the true score, and that of 40 others, in 92 to 99 % of 400 repetitions."""
    whole_true, whole_pred, _ = photos(30_000, seed=99)
    truth = metrics.macro_f1(metrics.confusion(whole_true, whole_pred, 6))
    hit, new_hit = 0, 0
    for seed in range(400):
        found = macro_f1_intervals(*photos(40, seed=seed), 6)
        true_N, pred_N, _ = photos(40, seed=10_000 + seed)
        new = metrics.macro_f1(metrics.confusion(true_N, pred_N, 6))
        hit += found.confidence.low <= truth <= found.confidence.high
        new_hit += found.prediction.low <= new <= found.prediction.high
    assert 0.92 < hit / 400 < 0.99
    assert 0.92 < new_hit / 400 < 0.99


def test_people_not_photos_are_independent() -> None:
    true_N, pred_N, person_N = photos(150)
    value = metrics.macro_f1(metrics.confusion(true_N, pred_N, 6))
    people = macro_f1_intervals(true_N, pred_N, person_N, 6).confidence
    rows = macro_f1_intervals(true_N, pred_N, [str(i) for i in range(len(true_N))], 6).confidence
    assert people.low < value < people.high
    # right or wrong is nearly the same on all 7 photos, so the width grows by about sqrt(7) = 2.6
    assert 1.8 < (people.high - people.low) / (rows.high - rows.low) < 3.2


def test_row_order_and_unknown_rows_change_nothing() -> None:
    true_N, pred_N, person_N = photos(30)
    order, person = np.random.default_rng(0).permutation(len(true_N)), np.array(person_N)
    one = macro_f1_intervals(true_N, pred_N, person, 6)
    assert macro_f1_intervals(true_N[order], pred_N[order], person[order], 6) == one
    more = (np.append(true_N, [-1, -1]), np.append(pred_N, [0, 1]), [*person_N, "nobody", "p0"])
    assert macro_f1_intervals(*more, 6) == one
    assert macro_f1_intervals(true_N, pred_N, person, 6, new_people=60).prediction != one.prediction
    assert macro_f1_intervals(true_N, pred_N, person, 6, level=0.9).confidence.low > one.confidence.low


def test_one_person_says_nothing() -> None:
    found = macro_f1_intervals(ints(0, 1, 1), ints(0, 1, 0), ["p", "p", "p"], 2)
    assert (found.confidence.low, found.confidence.high) == (0, 1)
    assert (found.prediction.low, found.prediction.high) == (0, 1)
    alone = score_influence(count_people(ints(0, 1, 1), ints(0, 1, 0), ["p", "p", "p"], 2))
    assert difference_interval(alone).low == difference_prediction(alone, 3).low == -1


def test_a_share_of_single_rows_has_wilson_s_interval() -> None:
    right_N = np.arange(20) < 16
    found = share_interval(right_N, np.arange(20), 0.95)
    assert found is not None
    # independent rows: units = share (1 - share) / variance = 19, by the sample variance's 1 / (n - 1)
    t, n, p = student.ppf(0.975, 19), 19, 0.8
    middle, reach = p + t**2 / 2 / n, t * math.sqrt(p * (1 - p) / n + t**2 / 4 / n**2)
    assert found.low == pytest.approx((middle - reach) / (1 + t**2 / n))
    assert found.high == pytest.approx((middle + reach) / (1 + t**2 / n))


def test_a_share_of_people_whose_photos_are_alike_counts_people() -> None:
    rights = np.arange(20) < 16
    single, repeated = (
        share_interval(rights, np.arange(20)),
        share_interval(np.repeat(rights, 5), np.repeat(range(20), 5)),
    )
    assert single is not None
    assert repeated is not None
    assert (repeated.low, repeated.high) == (pytest.approx(single.low), pytest.approx(single.high))
    all_right = share_interval(np.ones(100, dtype=bool), np.repeat(range(20), 5))
    assert all_right is not None
    assert (all_right.low, all_right.high) == (pytest.approx(1 / (1 + student.ppf(0.975, 19) ** 2 / 20)), 1.0)
    assert share_interval(np.ones(0, dtype=bool), np.arange(0)) is None
    only = share_interval(np.ones(3, dtype=bool), np.zeros(3))
    assert only is not None
    assert (only.low, only.high) == (0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 1.0}, "level"),
        ({"new_people": 0}, "at least one"),
        ({"true_N": ints(-1, -1)}, "no row"),
        ({"person_N": ["p"]}, "1 people for 2 rows"),
        ({"pred_N": ints(0, 7)}, "must lie"),
    ],
)
def test_nonsense_is_refused(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"true_N": ints(0, 1), "pred_N": ints(0, 1), "person_N": ["p", "q"], "classes": 2}
    with pytest.raises(ValueError, match=message):
        macro_f1_intervals(**{**good, **change})  # type: ignore[arg-type]
