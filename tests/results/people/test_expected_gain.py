"""The gain to expect in a set of another size: pair rates and gains by hand."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.results.comparison.difference import Difference
from maskcls.results.people.expected_gain import ASSUMED_DAMAGE, ExpectedGain, MeasuredGain
from maskcls.results.people.pair_rates import PairRates


def difference(value: float, low: float) -> Difference:
    return Difference(value, low, value + 0.1, 0.9, 0.95)


def test_wrong_pairs_grow_with_the_set_and_right_ones_do_not() -> None:
    # 10 groups of 4 photos: 60 pairs, 54 of one person; one wrong pair is added.
    rates = PairRates.of(np.repeat(np.arange(10), 4), 0.9, 20)
    assert (rates.right, rates.wrong) == (pytest.approx(54 / 40), pytest.approx(7 / 40))
    assert rates.precision(20) == pytest.approx(54 / 61)
    assert rates.precision(40) == pytest.approx(54 / 68)
    assert rates.precision(80) == pytest.approx(54 / 82)


def test_a_set_with_one_photo_per_person_has_only_wrong_pairs() -> None:
    rates = PairRates(right=3.0, wrong=0.1, photos=100)
    seven = np.repeat(np.arange(100), 7)
    assert rates.precision_of(seven) == pytest.approx(1 - 0.7 / 3)  # 3 pairs per photo, 0.1 x 7 of them wrong
    single = np.concatenate([np.arange(630), np.arange(70)])  # 70 pairs of 700 photos: 0.1 per photo, 0.7 expected
    assert rates.precision_of(single) == 0
    assert rates.precision_of(np.arange(50)) == 1


def test_the_smaller_gain_is_believed() -> None:
    small, large = difference(0.02, 0.01), difference(0.05, 0.03)
    assert MeasuredGain(large, small, 0.06, 0.9).believed is small
    assert MeasuredGain(small, large, 0.06, 0.9).believed is small
    assert (MeasuredGain(large, small, 0.06, 0.9).way, MeasuredGain(small, large, 0.06, 0.9).way) == ("whole", "cut")
    assert MeasuredGain(small, small, 0.06, 0.9).way == "whole"


def test_the_measured_damage_of_wrong_pairs_grows_with_their_share() -> None:
    gain = MeasuredGain(difference(0.06, 0.02), difference(0.05, 0.03), right_only=0.07, precision=0.9)
    assert gain.among(0.9) == ExpectedGain(0.05, 0.03)
    assert gain.among(0.99) == ExpectedGain(0.05, 0.03)  # never more than measured
    twice = gain.among(0.8)  # twice the share of wrong pairs costs twice the 0.02
    assert (twice.value, twice.low) == (pytest.approx(0.03), pytest.approx(0.01))
    assert twice.proven
    assert not gain.among(0.7).proven


def test_the_damage_of_few_wrong_pairs_is_assumed() -> None:
    gain = MeasuredGain(difference(0.05, 0.02), difference(0.05, 0.02), right_only=0.05, precision=0.995)
    assert gain.among(0.975).value == pytest.approx(0.05 - ASSUMED_DAMAGE * 0.05 * 0.02)
    losing = MeasuredGain(difference(-0.05, -0.1), difference(-0.05, -0.1), right_only=-0.04, precision=1.0)
    assert losing.among(0.5) == ExpectedGain(-0.05, -0.1)


def test_a_gain_of_zero_is_not_proven() -> None:
    assert not ExpectedGain(0.1, 0.0).proven
    assert ExpectedGain(0.1, 1e-9).proven
