"""The contact sheet: a PNG with every image in its place."""

from __future__ import annotations

import io

import numpy as np
import pytest
from photos import noise
from PIL import Image

from maskcls.show.terminal.sheet import contact_sheet

# A tile is 160 pixels of image with a margin of 4 on each side, and 15 pixels for each line of caption.
TILE = 168


def decode(png: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def plain(colour: tuple[int, int, int], height: int = 16, width: int = 16) -> np.ndarray:
    return np.full((height, width, 3), colour, dtype=np.uint8)


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (8, 1, 8), (9, 2, 8), (16, 2, 8), (17, 3, 8)]
)
@pytest.mark.parametrize("lines", [0, 3])
def test_the_size_follows_from_the_number_of_images(count: int, rows: int, columns: int, lines: int) -> None:
    sheet = decode(contact_sheet([noise(i) for i in range(count)], [["caption"] * lines] * count))
    assert sheet.shape == (rows * (TILE + 15 * lines), columns * TILE, 3)


def test_images_stand_in_reading_order_in_their_own_colours() -> None:
    colours = [(10 + 20 * i, 255 - 20 * i, 5) for i in range(9)]
    sheet = decode(contact_sheet([plain(c) for c in colours], [[]] * 9))
    centres = [(TILE * (i // 8) + TILE // 2, TILE * (i % 8) + TILE // 2) for i in range(16)]
    got = [tuple(sheet[y, x].tolist()) for y, x in centres]
    assert got == colours + [(255, 255, 255)] * 7


def test_the_networks_own_pixels_show() -> None:
    image = noise(0, 16, 16)
    sheet = decode(contact_sheet([image], [[]]))
    shown = sheet[4:164, 4:164]
    np.testing.assert_array_equal(shown, image.repeat(10, axis=0).repeat(10, axis=1))


@pytest.mark.parametrize(("height", "width"), [(128, 96), (96, 128), (8, 4096), (4096, 8), (300, 500)])
def test_any_shape_fits_its_tile(height: int, width: int) -> None:
    sheet = decode(contact_sheet([plain((255, 0, 0), height, width)], [["a"]]))
    assert sheet.shape == (TILE + 15, TILE, 3)
    ys, xs = np.nonzero((sheet == (255, 0, 0)).all(axis=2))
    shown = (ys.max() - ys.min() + 1, xs.max() - xs.min() + 1)
    longest = max(height, width)
    assert shown == (max(1, round(160 * height / longest)), max(1, round(160 * width / longest)))


def test_captions_are_drawn_below_and_differ() -> None:
    one, other, none = (decode(contact_sheet([plain((0, 0, 0))], [[text]])) for text in ("mask wear", "age 30-59", ""))
    np.testing.assert_array_equal(one[:164], other[:164])
    assert not np.array_equal(one[164:], other[164:])
    assert (none[164:] == 255).all()


@pytest.mark.parametrize("text", ["마스크 착용", "überall é", "日本語 😀", "a\nb\x1b[31m", "x" * 500, ""])
def test_no_caption_can_break_the_sheet(text: str) -> None:
    assert decode(contact_sheet([noise(0)] * 2, [[text, "plain"], ["one line"]])).shape == (TILE + 30, 2 * TILE, 3)


def test_an_image_without_a_caption_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        contact_sheet([noise(0)] * 2, [["one"]])
