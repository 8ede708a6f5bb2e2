"""Borders for whole numbers: ascending, with enough rows in each class, and easy to read."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from maskcls.data.proposal.number_bins import SMALLEST_SHARE, bin_names, contest_borders_fit, propose_bins
from maskcls.labels import Task


@given(st.lists(st.integers(0, 32767), min_size=11, max_size=60))
def test_every_class_has_its_share_of_the_rows(values: list[int]) -> None:
    borders = propose_bins(values)
    if not borders:
        return
    assert list(borders) == sorted(set(borders))
    labels = Task("t", bin_names(borders), borders).band(np.array(values))
    counts = np.bincount(labels, minlength=len(borders) + 1)
    assert counts.min() >= SMALLEST_SHARE * len(values)


def test_borders_worked_out_by_hand() -> None:
    assert propose_bins(list(range(0, 3000, 10))) == (1000, 2000)
    assert propose_bins([0] * 50 + list(range(1, 51))) in ((1,), (10,))  # half of the rows are 0: two classes
    assert propose_bins([7] * 100 + [8]) == ()


def test_the_contest_s_borders_need_rows_on_all_sides() -> None:
    assert contest_borders_fit([20, 40, 60])
    assert not contest_borders_fit([20, 40, 59])
    assert not contest_borders_fit([30, 40, 60])
