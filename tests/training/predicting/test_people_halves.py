"""The people of a fold in two halves: nobody in both, equally many, whatever the order of the photos."""

from __future__ import annotations

import numpy as np
import pytest

from maskcls.training.predicting.people_halves import half_of_people


@pytest.mark.parametrize("count", [2, 7, 40])
def test_halves_share_nobody_and_are_equally_large(count: int) -> None:
    people = [f"person{n % count}" for n in range(5 * count)]
    half_N = half_of_people(people)
    sides = [{name for name, half in zip(people, half_N, strict=True) if half == side} for side in (0, 1)]
    assert sides[0].isdisjoint(sides[1])
    assert sorted(map(len, sides)) == [count // 2, count - count // 2]


def test_the_order_of_the_photos_does_not_matter() -> None:
    people = np.array([f"person{n % 9}" for n in range(30)])
    order_N = np.random.default_rng(0).permutation(30)
    np.testing.assert_array_equal(half_of_people(people[order_N].tolist()), half_of_people(people.tolist())[order_N])


def test_names_that_follow_each_other_are_not_dealt_in_turn() -> None:
    """Tables are often sorted by label, and names often numbered: the halves must not follow them."""
    half_N = half_of_people([f"{n:03}" for n in range(40)])
    assert 5 < (half_N[:20] == 0).sum() < 15
    assert (half_N[1:] == half_N[:-1]).sum() > 8
