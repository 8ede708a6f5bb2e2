"""Drawn people: how many of each gender and age, and how these shift the traits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from maskcls.data.drawn.ages import DRAWN_SHARES
from maskcls.data.drawn.people import cells, people_of
from maskcls.data.drawn.traits import look_of

ALL_CELLS = {(gender, band) for gender in ("male", "female") for band in (0, 1, 2)}


def test_every_cell_is_filled_early() -> None:
    assert set(cells(6)) == ALL_CELLS
    for count in range(18, 200):
        seats = Counter(cells(count))
        assert set(seats) == ALL_CELLS
        assert min(seats.values()) >= 2, count


def test_shares_come_close_to_those_asked_for() -> None:
    seats = Counter(cells(2000))
    assert sum(DRAWN_SHARES.values()) == pytest.approx(1)
    for cell, share in DRAWN_SHARES.items():
        assert abs(seats[cell] - 2000 * share) <= 3, cell  # Adams' method rounds up: a few seats at most
    people = people_of("train", 300, seed=0)
    assert 0.5 < sum(p.gender == "female" for p in people) / 300 < 0.7
    assert 0.07 <= sum(p.age_years >= 60 for p in people) / 300 <= 0.1


def test_years_fill_the_bands() -> None:
    years = {p.age_years for p in people_of("train", 600, seed=1)}
    assert {18, 29, 30, 59, 60} <= years <= set(range(18, 76))
    assert max(years) > 65


def test_gender_and_age_shift_looks_without_deciding_them() -> None:
    people = people_of("train", 400, seed=0)
    looks = [(p, look_of(p, 0)) for p in people]
    women, men = ([look.hair_length for p, look in looks if p.gender == g] for g in ("female", "male"))
    assert np.mean(women) > np.mean(men) + 0.2
    assert min(women) < np.median(men)
    assert max(men) > np.median(women)
    limits = ((18, 30), (30, 60), (60, 99))
    bands = [[look.wrinkles for p, look in looks if low <= p.age_years < high] for low, high in limits]
    assert min(len(band) for band in bands) >= 20
    assert np.mean(bands[0]) + 0.2 < np.mean(bands[1]) < np.mean(bands[2]) - 0.15
    assert max(bands[0]) > min(bands[1])
    assert max(bands[1]) > min(bands[2])
