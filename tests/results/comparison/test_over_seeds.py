"""Differences over seeds: the interval covers chance of training, and equals that over people with one seed."""

import numpy as np
import pytest
from scipy import stats

from maskcls.results.comparison.difference import paired_difference, paired_influence
from maskcls.results.comparison.over_seeds import difference_over_seeds

PEOPLE = np.repeat(np.arange(60), 4)


def predictions(shares: list[float], seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Labels of two classes, and predictions that are wrong in these shares of the rows."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, len(PEOPLE))
    return truth, [np.where(rng.random(len(truth)) < share, 1 - truth, truth) for share in shares]


def test_one_seed_is_the_interval_over_people() -> None:
    truth, (a, b) = predictions([0.3, 0.2], 0)
    assert difference_over_seeds(truth, [a], [b], PEOPLE, 2) == paired_difference(truth, a, b, PEOPLE, 2)


def test_equal_seeds_add_nothing_but_their_few_degrees_of_freedom() -> None:
    truth, (a, b) = predictions([0.3, 0.2], 1)
    found, one = difference_over_seeds(truth, [a, a], [b, b], PEOPLE, 2), paired_difference(truth, a, b, PEOPLE, 2)
    assert found.value == pytest.approx(one.value)
    assert found.high - found.low == pytest.approx(one.high - one.low, rel=0.05)


def test_the_variances_add_and_the_freedom_is_satterthwaites() -> None:
    truth, (a, b, c, d) = predictions([0.3, 0.1, 0.3, 0.28], 2)
    found = difference_over_seeds(truth, [a, c], [b, d], PEOPLE, 2)
    influence = paired_influence(truth, [a, c], [b, d], PEOPLE, 2)
    first, second = (paired_influence(truth, *pair, PEOPLE, 2).value for pair in ((a, b), (c, d)))
    by_people, by_seeds = influence.variance + influence.few, (first - second) ** 2 / 4
    freedom = (by_people + by_seeds) ** 2 / (by_people**2 / 59 + by_seeds**2)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(by_people + by_seeds)
    assert found.low == pytest.approx(found.value - half, abs=1e-6)
    assert found.high == pytest.approx(min(1.0, found.value + half), abs=1e-6)


def test_equally_good_trainings_are_rarely_called_different() -> None:
    # Each training is good or bad by chance; people alone would see a difference in most repetitions.
    rng, called, by_people = np.random.default_rng(3), 0, 0
    for repetition in range(200):
        truth, rows = predictions(list(rng.choice([0.1, 0.3], 6)), repetition)
        found = difference_over_seeds(truth, rows[:3], rows[3:], PEOPLE, 2)
        called += found.low > 0 or found.high < 0
        alone = paired_difference(truth, rows[:3], rows[3:], PEOPLE, 2)
        by_people += alone.low > 0 or alone.high < 0
    assert called <= 20
    assert by_people >= 60
