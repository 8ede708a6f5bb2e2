"""Which photos are the same: by size and hash of the files, and by the pixels of their views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from maskcls.data.photos.same_photos import equal_keys, equal_views, merged, rows_of_common_size, rows_of_equal_size


def test_groups_hold_every_row_of_a_key_and_no_single_one() -> None:
    assert equal_keys({4: "b", 0: "a", 1: "b", 2: "c", 3: "a", 9: "b"}) == [(0, 3), (1, 4, 9)]
    assert equal_keys({}) == equal_keys({0: b"x", 1: b"y"}) == []


def test_only_files_of_equal_size_need_a_hash(tmp_path: Path) -> None:
    sizes = {"a": 3, "b": 5, "c": 3, "d": 7, "e": 5}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(name.encode() * size)
    assert rows_of_equal_size(tmp_path, [*sizes, "missing"]) == {0, 1, 2, 4}
    assert rows_of_equal_size(tmp_path, ["a", "b", "d"]) == set()
    assert rows_of_common_size(tmp_path, ["a", "b", "d", "e"], 2) == [1, 3]
    assert (
        rows_of_common_size(tmp_path, ["a", "c", "b", "missing", str(tmp_path / "d")], 2) == []
    )  # both are of one part


@pytest.mark.parametrize("seed", range(5))
def test_equal_views_against_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 2, (4, 5, 3, 3), dtype=np.uint8)
    views_NHWC = kinds[rng.integers(0, 4, 12)]
    views_NHWC[3, 0, 0, 0] ^= 1  # outside the row of pixels that is compared first
    views_NHWC[7, 2, 1, 1] ^= 1  # in it
    wanted = {tuple(j for j in range(12) if (views_NHWC[i] == views_NHWC[j]).all()) for i in range(12)}
    assert sorted(equal_views(views_NHWC)) == sorted(group for group in wanted if len(group) > 1)


def test_views_with_an_equal_middle_are_not_the_same() -> None:
    views_NHWC = np.zeros((3, 5, 4, 3), dtype=np.uint8)
    views_NHWC[1, 0] = 9
    assert equal_views(views_NHWC) == [(0, 2)]
    assert equal_views(views_NHWC[:0]) == []


@given(st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=4, unique=True), max_size=8))
def test_groups_that_share_a_row_are_joined_as_scipy_joins_them(groups: list[list[int]]) -> None:
    edges = [(group[0], other) for group in groups for other in group[1:]]
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(10, 10))
    _, part_of = connected_components(graph, directed=False)
    parts = [tuple(np.flatnonzero(part_of == part).tolist()) for part in np.unique(part_of)]
    assert merged(map(tuple, groups)) == sorted(part for part in parts if len(part) > 1)
