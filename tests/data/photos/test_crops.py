"""Crops around faces: which face counts, what is kept around it, what is learned, and which detectors are accepted."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photos import PLAIN, noise
from PIL import Image

from maskcls import files
from maskcls.data.photos.crops import (
    Box,
    Face,
    Window,
    best_face,
    centred_shares,
    cut,
    encode,
    holds,
    learn,
    read_learned,
    widen,
)
from maskcls.data.photos.images import MIN_SIDE, decode
from maskcls.data.views.transforms import eval_view
from maskcls.errors import DataError

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 232589\n"

# --- widening -------------------------------------------------------------------------------------

FACE = Face(90, 80, 20, 30)  # centre (100, 95)


@pytest.mark.parametrize(
    ("face", "margin", "aspect", "size", "box"),
    [
        # 20 x 30 pixels are 3 : 2 already: nothing grows.
        (FACE, 0.0, 1.5, (200, 200), Box(90, 80, 110, 110)),
        # 40 x 60 with the margin, of each side's own length.
        (FACE, 0.5, 1.5, (200, 200), Box(80, 65, 120, 125)),
        # For 4 : 3 the 60 rows ask for 45 columns: 77.5 is rounded to the even 78.
        (FACE, 0.5, 4 / 3, (200, 200), Box(78, 65, 123, 125)),
        # For 2 : 1 the 40 columns ask for 80 rows.
        (FACE, 0.5, 2.0, (200, 200), Box(80, 55, 120, 135)),
        # At the edges the box is shifted, not cut.
        (Face(-6, 80, 20, 30), 0.5, 1.5, (200, 200), Box(0, 65, 40, 125)),
        (Face(185, 80, 20, 30), 0.5, 1.5, (200, 200), Box(160, 65, 200, 125)),
        (Face(90, -10, 20, 30), 0.5, 1.5, (200, 200), Box(80, 0, 120, 60)),
        (Face(90, 180, 20, 30), 0.5, 1.5, (200, 200), Box(80, 140, 120, 200)),
        # 40 x 60 in 45 rows: three quarters of both sides.
        (Face(90, 10, 20, 30), 0.5, 1.5, (45, 200), Box(85, 0, 115, 45)),
        # And in 30 columns.
        (Face(5, 80, 20, 30), 0.5, 1.5, (200, 30), Box(0, 72, 30, 117)),
        # A whole photo gives the largest box at its centre: 90 x 60 of 90 x 100.
        (Face(0, 0, 100, 90), 0.3, 1.5, (90, 100), Box(20, 0, 80, 90)),
        # Never below what the decoder takes: 4 x 6 becomes 16 x 16.
        (Face(98, 92, 4, 6), 0.0, 1.5, (200, 200), Box(92, 87, 108, 103)),
    ],
)
def test_a_widened_face(face: Face, margin: float, aspect: float, size: tuple[int, int], box: Box) -> None:
    assert widen(face, margin=margin, aspect=aspect, size=size) == box


@given(
    st.floats(-50, 450), st.floats(-50, 450), st.floats(1, 500), st.floats(1, 500), st.floats(0, 2),
    st.floats(0.25, 4), st.integers(MIN_SIDE, 400), st.integers(MIN_SIDE, 400),
)  # fmt: skip
def test_a_widened_face_lies_inside_and_is_not_stretched(
    left: float, top: float, wide: float, tall: float, margin: float, aspect: float, height: int, width: int
) -> None:
    face = Face(left, top, wide, tall)
    box = widen(face, margin=margin, aspect=aspect, size=(height, width))
    rows, columns = box.bottom - box.top, box.right - box.left
    assert 0 <= box.left < box.right <= width
    assert 0 <= box.top < box.bottom <= height
    assert min(rows, columns) >= MIN_SIDE
    if min(rows, columns) > MIN_SIDE:
        # Half a pixel of rounding on either side.
        assert (rows - 0.5) / (columns + 0.5) <= aspect * (1 + 1e-9)
        assert aspect <= (rows + 0.5) / (columns - 0.5) * (1 + 1e-9)
    inside = left >= 0 and top >= 0 and left + wide <= width and top + tall <= height
    if inside and rows < height and columns < width:
        # Two roundings of half a pixel.
        grown = Box(box.left - 1, box.top - 1, box.right + 1, box.bottom + 1)
        assert holds(grown, face)


# --- the best face --------------------------------------------------------------------------------

SIZE = (100, 100)
CENTRED = Face(40, 40, 20, 20, 0.8)  # 320


@pytest.mark.parametrize(
    ("others", "best"),
    [
        ([], 0),
        ([Face(0, 0, 10, 10, 0.9)], 0),  # a small face in the corner
        ([Face(0, 0, 20, 20, 0.99)], 0),  # a poster, as large and surer: 396
        ([Face(0, 0, 28, 28, 0.81)], 0),  # 635, not quite twice as prominent
        ([Face(0, 0, 28, 28, 0.83)], 1),  # 651, more than twice: the person stands there
        ([Face(48, 48, 8, 8, 0.9), Face(10, 0, 40, 40, 0.9)], 2),  # exactly in the centre, but tiny
        ([Face(0, 40, 20, 20, 0.8), Face(41, 41, 20, 20, 0.8)], 0),  # the nearest of three alike
    ],
)
def test_the_most_prominent_face_counts_and_near_ties_go_to_the_centre(others: list[Face], best: int) -> None:
    faces = [CENTRED, *others]
    assert best_face(faces, SIZE) == faces[best]
    assert best_face(faces[::-1], SIZE) == faces[best]


def test_the_score_weighs_as_much_as_the_area() -> None:
    large_and_doubtful, small_and_sure = Face(0, 0, 30, 20, 0.2), Face(60, 0, 20, 20, 1.0)
    assert best_face([large_and_doubtful, small_and_sure], SIZE) == small_and_sure


def test_the_centre_is_the_photos_own() -> None:
    left, right = Face(10, 40, 20, 20), Face(150, 40, 20, 20)
    assert best_face([left, right], (100, 60)) == left
    assert best_face([left, right], (100, 300)) == right


def test_no_face_is_no_face() -> None:
    assert best_face([], SIZE) is None


# --- the learned window ---------------------------------------------------------------------------


def test_the_window_is_the_median_of_shares() -> None:
    faces = [Face(40, 20, 20, 40), Face(45, 20, 30, 40), Face(90, 50, 40, 100)]
    sizes = [(100, 100), (100, 100), (200, 200)]
    # x: 0.5, 0.6, 0.55; y: 0.4, 0.4, 0.5; width: 0.2, 0.3, 0.2; height: 0.4, 0.4, 0.5
    window = learn(faces, sizes)
    assert (window.x, window.y, window.width, window.height) == pytest.approx((0.55, 0.4, 0.2, 0.4))
    assert window.faces == 3


def test_a_few_posters_do_not_move_the_window() -> None:
    usual, poster = Face(40, 40, 20, 20), Face(0, 0, 5, 5)
    window = learn([usual] * 9 + [poster] * 4, [SIZE] * 13)
    assert (window.x, window.y, window.width, window.height) == pytest.approx((0.5, 0.5, 0.2, 0.2))


def test_the_spread_is_the_standard_deviation_of_normal_faces() -> None:
    deviations = (3.0, 2.0, 1.0, 0.5)
    draws = np.random.default_rng(0).normal((50, 40, 30, 20), deviations, (20_000, 4))
    faces = [Face(x - w / 2, y - h / 2, w, h) for x, y, w, h in draws.tolist()]
    got = learn(faces, [(100, 200)] * len(faces)).spread
    # Of a height of 100 and a width of 200; 20,000 draws know a percentile to about one in a hundred.
    assert got == pytest.approx((3 / 200, 2 / 100, 1 / 200, 0.5 / 100), rel=0.05)


def test_nothing_is_learned_from_nothing() -> None:
    with pytest.raises(ValueError, match="no face"):
        learn([], [])
    with pytest.raises(ValueError, match="zip"):
        learn([CENTRED], [])


WINDOW = Window(0.5, 0.4, 0.2, 0.3, (0.01, 0.02, 0.03, 0.04), 7)


def test_the_window_gives_the_usual_face_of_any_size() -> None:
    assert WINDOW.face((100, 200)) == Face(80, 25, 40, 30)
    # 40 x 30 and a half on each side: 80 x 60; 1 : 1 asks for 80 rows, 40 - 40 .. 40 + 40.
    assert WINDOW.box((100, 200), margin=0.5, aspect=1.0) == Box(60, 0, 140, 80)


def test_a_window_survives_json() -> None:
    assert Window.from_json(json.loads(json.dumps(WINDOW.to_json()))) == WINDOW


def test_what_is_learned_and_applied_again_is_the_same_face() -> None:
    face = WINDOW.face((64, 48))
    again = learn([face], [(64, 48)])
    assert again.face((64, 48)) == replace(face, left=pytest.approx(face.left), top=pytest.approx(face.top))
    assert again.spread == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("face", "inside"),
    [
        (Face(10, 20, 30, 40), True),
        (Face(9.9, 20, 30, 40), False),
        (Face(10, 19.9, 30, 40), False),
        (Face(10, 20, 30.1, 40), False),
        (Face(10, 20, 30, 40.1), False),
    ],
)
def test_a_box_holds_what_ends_at_its_edges(face: Face, inside: bool) -> None:
    assert holds(Box(10, 20, 40, 60), face) is inside


# --- the centre crop that does instead ------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "size", "shares"),
    [
        (Box(20, 30, 70, 90), (100, 100), (0.8, 0.6)),
        (Box(0, 0, 10, 10), (100, 100), (1.0, 1.0)),
        (Box(45, 48, 55, 52), (100, 100), (0.04, 0.1)),
        (Box(1, 1, 2, 2), (3, 3), (0.34, 0.34)),  # one third, rounded up
        (Box(64, 96, 320, 416), (512, 384), (0.63, 0.67)),  # 320 x 256 of the contest's photos
    ],
)
def test_the_smallest_centre_crop(box: Box, size: tuple[int, int], shares: tuple[float, float]) -> None:
    assert centred_shares(box, size) == shares


@given(st.data(), st.integers(16, 300), st.integers(16, 300))
def test_the_network_sees_the_whole_box_with_that_centre_crop(data: st.DataObject, height: int, width: int) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(left, top, data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height)))
    image = np.zeros((height, width, 3), dtype=np.uint8)
    cut(image, box)[:] = 1
    shares = centred_shares(box, (height, width))
    assert all(0 < share <= 1 for share in shares)
    kept = round(height * shares[0]), round(width * shares[1])  # so that nothing is resized
    assert eval_view(image, replace(PLAIN, crop=shares, size=kept)).sum() == image.sum()


# --- pixels ---------------------------------------------------------------------------------------


def test_cut_keeps_the_box() -> None:
    image = noise(0, 30, 40)
    np.testing.assert_array_equal(cut(image, Box(left=5, top=2, right=9, bottom=12)), image[2:12, 5:9])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.b", "JPEG"), ("a", "JPEG"), ("a.gif", "JPEG"),
        ("a.png", "PNG"), ("b/a.PNG", "PNG"), ("a.bmp", "BMP"), ("a.tif", "TIFF"), ("a.TIFF", "TIFF"),
        ("a.webp", "WEBP"),
    ],
)  # fmt: skip
def test_the_name_decides_the_format(name: str, kind: str) -> None:
    pixels = noise(1, 32, 24)
    data = encode(pixels, name)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, image.size) == (kind, "RGB", (24, 32))
    if kind not in ("JPEG", "WEBP"):
        np.testing.assert_array_equal(decode(data, Path(name)), pixels)


def test_jpegs_have_quality_95_and_full_colour() -> None:
    image, wanted = Image.open(io.BytesIO(encode(noise(1, 32, 24), "a.jpg"))), io.BytesIO()
    Image.new("RGB", (16, 16)).save(wanted, "JPEG", quality=95)
    assert image.quantization == Image.open(wanted).quantization
    assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3


def test_a_smooth_photo_hardly_changes() -> None:
    ramp = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    pixels = np.stack([ramp, 2 * ramp, 255 - 2 * ramp], axis=2)
    for name in ("a.jpg", "a.webp"):
        change = np.abs(decode(encode(pixels, name), Path(name)).astype(int) - pixels)
        assert change.mean() < 1.5  # quality 95 quantises by a few of 255; at 50 JPEG is off by 2 and more


# --- crops.json -----------------------------------------------------------------------------------

TOLD: dict[str, Any] = {"margin": 0.25, "aspect": [4, 3], "window": WINDOW.to_json()}


def test_a_learned_crop_is_read_back(tmp_path: Path) -> None:
    files.commit_json(tmp_path / "crops.json", TOLD | {"whatever": "else"})
    assert read_learned(tmp_path / "crops.json") == (0.25, (4, 3), WINDOW)


BROKEN = [
    b"{", b"[]", b"{}", b"\xff", b"[" * 100_000,
    *(json.dumps(TOLD | change).encode() for change in (
        {"margin": -1}, {"margin": "much"}, {"margin": math.nan}, {"aspect": [4]}, {"aspect": [4, 0]},
        {"aspect": [5, 1]}, {"aspect": 1.33}, {"window": {}}, {"window": 3},
        {"window": WINDOW.to_json() | {"x": 1.5}}, {"window": WINDOW.to_json() | {"height": 0}},
        {"window": WINDOW.to_json() | {"width": math.nan}}, {"window": WINDOW.to_json() | {"spread": [1, 2, 3]}},
        {"window": WINDOW.to_json() | {"spread": [0, 0, 0, -1]}},
    )),
]  # fmt: skip


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_anything_else_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "crops.json"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"not a crops\.json") as caught:
        read_learned(path)
    assert caught.value.where == str(path)


def test_a_missing_file_and_an_empty_window_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="learned crop: cannot read"):
        read_learned(tmp_path / "crops.json")
    files.commit_json(tmp_path / "crops.json", TOLD | {"window": None})
    with pytest.raises(DataError, match="there is no median face"):
        read_learned(tmp_path / "crops.json")
