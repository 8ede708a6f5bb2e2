"""The border of a sample is exactly what the classifier's first crop takes off."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import tiny

from maskcls.data.views.transforms import crop_window, eval_view
from maskcls.synth.rows.canvas import on_canvas, png_of
from maskcls.training.experiment import view_spec

SHARES = st.floats(0.05, 1.0)


@settings(max_examples=100, deadline=None)
@given(SHARES, SHARES, st.floats(0, 1), st.floats(0, 1), st.integers(1, 9), st.integers(1, 9))
def test_the_crop_of_the_canvas_is_the_image(
    tall: float, wide: float, down: float, right: float, height: int, width: int
) -> None:
    spec = replace(view_spec(tiny()), crop=(tall, wide), crop_centre=(down, right), size=(height, width))
    image = np.random.default_rng(height * 10 + width).integers(0, 256, (height, width, 3)).astype(np.uint8)
    canvas = on_canvas(image, spec)
    np.testing.assert_array_equal(canvas[crop_window(canvas.shape[:2], spec)], image)
    np.testing.assert_array_equal(eval_view(canvas, spec), image)


def test_without_a_crop_nothing_is_added() -> None:
    image = np.zeros((4, 6, 3), dtype=np.uint8)
    assert on_canvas(image, view_spec(tiny())) is image


@pytest.mark.parametrize("size", [(16, 16), (32, 16)])
def test_a_png_holds_the_pixels_and_nothing_else(size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    data = png_of(image)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), image)
    assert data == png_of(image.copy())
