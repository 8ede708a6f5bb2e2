"""Descriptors: what is in them, that threads and formats do not matter, and which files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from photos import noise
from PIL import Image

from maskcls.data.photos.descriptors import SIZE, D, describe, descriptors
from maskcls.errors import DataError


def test_a_plain_colour_is_its_lab_value_everywhere() -> None:
    found_D = describe(np.full((50, 40, 3), (255, 0, 0), dtype=np.uint8))
    assert found_D.shape == (D,)
    assert found_D.dtype == np.float32
    expected = np.tile([53.24, 80.09, 67.20], SIZE[0] * SIZE[1])  # sRGB red in CIE L*a*b* under D65
    np.testing.assert_allclose(found_D, expected, atol=0.2)  # OpenCV rounds the matrix to some four digits


def test_a_pixel_is_the_mean_of_what_it_covers_and_rows_come_first() -> None:
    image_HWC = np.zeros((SIZE[0] * 4, SIZE[1] * 4, 3), dtype=np.uint8)
    image_HWC[:4, 4:8] = 255  # the second cell of the first row
    checked = image_HWC.copy()
    checked[:4, 4:8] = np.kron([[0, 255], [255, 0]], np.ones((2, 2)))[..., None]  # half of it black
    light = describe(image_HWC).reshape(*SIZE, 3)[..., 0]
    grey = describe(checked).reshape(*SIZE, 3)[..., 0]
    assert np.argwhere(light > 1).tolist() == [[0, 1]]
    assert light[0, 1] == pytest.approx(100, abs=0.1)
    assert grey[0, 1] == pytest.approx(53.6, abs=0.5)  # L* of a grey of 127.5 or 128


def test_rows_follow_the_paths_whatever_the_threads(tmp_path: Path) -> None:
    names = []
    for seed in range(7):
        names.append(f"{seed}.png")
        Image.fromarray(noise(seed, 64, 48)).save(tmp_path / names[-1])
    done: list[int] = []
    found_ND = descriptors(tmp_path, names, threads=3, on_progress=done.append)
    assert (found_ND.shape, found_ND.dtype, done) == ((7, D), np.float32, [1, 2, 3, 4, 5, 6, 7])
    np.testing.assert_array_equal(found_ND, np.stack([describe(noise(seed, 64, 48)) for seed in range(7)]))
    np.testing.assert_array_equal(descriptors(tmp_path, names[::-1], threads=1), found_ND[::-1])


def test_a_large_jpeg_read_small_looks_as_it_does_read_whole(tmp_path: Path) -> None:
    y, x = np.mgrid[0:512, 0:384] / 512
    image_HWC = (np.stack([y, x, np.hypot(x, y) / 1.3], axis=2) * 255).astype(np.uint8)
    Image.fromarray(image_HWC).save(tmp_path / "a.jpg", quality=95)
    found_D = descriptors(tmp_path, ["a.jpg"], threads=1)[0]
    # A level of an eighth of the size is 1 in 255; L*a*b* of dark colours magnifies it.
    assert np.abs(found_D - describe(image_HWC)).mean() < 0.5


def test_all_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    Image.fromarray(noise(0)).save(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_bytes(b"<html>")
    with pytest.raises(DataError, match="images cannot be read") as caught:
        descriptors(tmp_path, ["bad.jpg", "good.png", "none.jpg"], threads=2)
    assert [text.partition(":")[0] for text in caught.value.offenders] == ["bad.jpg", "none.jpg"]
