"""Rows are joined by id: order is free, and a missing or repeated id is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskcls.errors import DataError
from maskcls.results.rows_by_id import find_rows, rows_of


@given(st.permutations([f"i{n}" for n in range(12)]), st.lists(st.integers(0, 11)))
def test_each_wanted_id_is_at_its_row(ids: list[str], wanted: list[int]) -> None:
    names = [f"i{n}" for n in wanted]
    assert [ids[row] for row in rows_of(ids, names).tolist()] == names
    assert rows_of(ids, names).dtype == np.int64


def test_a_missing_id_is_named_or_minus_one() -> None:
    assert find_rows(["a", "b"], ["c", "b"]).tolist() == [-1, 1]
    with pytest.raises(DataError, match="ids are missing") as caught:
        rows_of(["a", "b"], ["c", "b", "d"], names=("x.csv", "the photos"))
    assert caught.value.offenders == ("'c'", "'d'")
    assert "x.csv" in str(caught.value)
    assert "the photos" in str(caught.value)


def test_a_repeated_id_is_refused_where_it_is_wanted() -> None:
    with pytest.raises(DataError, match="occurs twice") as caught:
        rows_of(["a", "b", "a"], ["a"], names=("x.csv", "the photos"))
    assert caught.value.offenders == ("'a'",)
    assert "x.csv" in str(caught.value)
    assert rows_of(["a", "b", "a"], ["b"]).tolist() == [1]
    with pytest.raises(DataError, match="occurs twice"):
        find_rows(["a", "a"], ["a"])


def test_no_rows_give_no_rows() -> None:
    assert rows_of([], []).tolist() == []
    assert find_rows([], ["a"]).tolist() == [-1]
