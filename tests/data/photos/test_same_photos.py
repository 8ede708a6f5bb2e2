"""Which photos are the same: by their pixels, and which files need a hash to find out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskcls.data.photos.same_photos import equal_keys, equal_views, pixels_in_full, pixels_in_part, rows_of_common_size


def test_groups_hold_every_row_of_a_key_and_no_single_one() -> None:
    assert equal_keys({4: "b", 0: "a", 1: "b", 2: "c", 3: "a", 9: "b"}) == [(0, 3), (1, 4, 9)]
    assert equal_keys({}) == equal_keys({0: b"x", 1: b"y"}) == []


def test_only_files_as_large_as_one_of_the_other_part_need_a_hash(tmp_path: Path) -> None:
    for name, size in {"a": 3, "b": 5, "c": 3, "d": 7, "e": 5}.items():
        (tmp_path / name).write_bytes(name.encode() * size)
    assert rows_of_common_size(tmp_path, ["a", "b", "d", "e"], 2) == [1, 3]
    assert rows_of_common_size(tmp_path, ["a", "c", "b", "missing", str(tmp_path / "d")], 2) == []  # a and c: one part


def test_photos_are_equal_in_size_and_every_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    edge, turned = image.copy(), image.reshape(4, 6, 3)
    edge[0, 0, 0] ^= 1
    assert pixels_in_part(image) == pixels_in_part(image.copy()) == pixels_in_part(edge)
    assert pixels_in_full(image) == pixels_in_full(np.asfortranarray(image)) != pixels_in_full(edge)
    assert pixels_in_full(turned) != pixels_in_full(image)
    flat = np.zeros((4, 6, 3), dtype=np.uint8)
    assert pixels_in_part(flat) != pixels_in_part(np.zeros((6, 6, 3), dtype=np.uint8))


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
