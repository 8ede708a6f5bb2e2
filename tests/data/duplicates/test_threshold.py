"""The fitted threshold and its error rates, against distributions whose tail is known."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.data.duplicates.threshold import ALLOWED, exact_interval, fit_threshold


def scores(z: np.ndarray) -> np.ndarray:
    return np.tanh(z)


def quantiles(count: int, mean: float) -> np.ndarray:
    """Return the quantiles of an exponential distribution: a sample without chance."""
    return -mean * np.log((np.arange(count) + 0.5) / count)


def test_the_expected_number_of_false_pairs_is_that_of_the_true_tail() -> None:
    natural, copies = scores(quantiles(10_000, 0.1)), scores(np.full(100, 3.0))
    found = fit_threshold(natural, copies, pairs=50_000, found_C=np.ones(100, bool))
    z = np.arctanh(found.score)
    start = 0.1 * np.log(10)  # 1,000 of 10,000 exponential numbers are above
    upper = 0.1 * (1 + 1.96 / np.sqrt(1_000))  # the upper end of the interval of their mean
    tail = start + upper * np.log(1_000 / ALLOWED)  # where, with that mean, 0.5 of them are expected above
    assert z == pytest.approx((tail + 3.0) / 2, rel=0.02)  # copies lie higher, so the middle
    assert found.false_pairs == pytest.approx(10_000 * np.exp(-z / 0.1), rel=0.3)
    assert found.low < found.false_pairs < found.high
    assert found.rate == pytest.approx(found.false_pairs / 50_000)
    assert (found.found, found.copies) == (100, 100)


def test_where_copies_lie_in_the_tail_false_pairs_stay_few_and_copies_are_missed() -> None:
    natural, copies = scores(quantiles(1_000, 0.5)), scores(np.linspace(2, 6, 100))
    found = fit_threshold(natural, copies, pairs=1_000, found_C=np.ones(100, bool))
    assert found.high == pytest.approx(ALLOWED, rel=1e-6)
    assert found.low < found.false_pairs < ALLOWED
    assert np.arctanh(found.score) > 2.5
    assert found.found == (np.linspace(2, 6, 100) >= np.arctanh(found.score)).sum() < 90


def test_true_duplicates_among_the_pairs_do_not_move_the_threshold() -> None:
    natural, copies, proposed = scores(quantiles(5_000, 0.1)), scores(np.linspace(2.5, 3.5, 100)), np.ones(100, bool)
    clean = fit_threshold(natural, copies, pairs=9_000, found_C=proposed)
    mixed = fit_threshold(np.append(natural, scores(np.full(50, 3.2))), copies, pairs=9_000, found_C=proposed)
    assert mixed.score == pytest.approx(clean.score, abs=1e-3)


def test_a_copy_that_no_hash_proposed_is_not_found() -> None:
    natural, copies = scores(quantiles(5_000, 0.1)), scores(np.full(10, 3.0))
    found = fit_threshold(natural, copies, pairs=9_000, found_C=np.arange(10) < 7)
    assert found.found == 7
    assert found.recall == (0.7, *exact_interval(7, 10))


def test_few_pairs_have_a_threshold_from_copies_and_no_rate() -> None:
    found = fit_threshold(scores(quantiles(20, 0.1)), scores(np.full(10, 2.0)), pairs=20, found_C=np.ones(10, bool))
    assert found.score == pytest.approx(np.tanh(2.0))
    assert (found.false_pairs, found.low, found.high, found.rate) == (None, None, None, None)


def test_the_exact_interval_is_that_of_the_literature() -> None:
    # Clopper and Pearson by hand for 0 of n: 1 - 0.025 ** (1 / n); and the mirror image for n of n.
    assert exact_interval(0, 20) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert exact_interval(20, 20) == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    low, high = exact_interval(5, 20)
    assert low < 0.25 < high
