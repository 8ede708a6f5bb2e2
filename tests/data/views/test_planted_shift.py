"""Planted shifts: values by hand, one photo's change does not depend on the others."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from maskcls.data.views.planted_shift import NIGHT_SD, keeps_person, plant

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 16, 12, 3), dtype=np.uint8)
IDS = ["a", "b", "c"]


def test_camera_multiplies_the_channels_and_clips() -> None:
    image = np.full((1, 2, 2, 3), (100, 100, 100), np.uint8)
    image[0, 0, 0] = (250, 250, 250)
    found = plant("camera", image, ["a"])
    assert found[0, 1, 1].tolist() == [125, 90, 60]
    assert found[0, 0, 0].tolist() == [255, 225, 150]


def test_jpeg_is_a_photo_saved_with_quality_ten() -> None:
    buffer = io.BytesIO()
    Image.fromarray(IMAGES[1]).save(buffer, "JPEG", quality=10)
    np.testing.assert_array_equal(plant("jpeg", IMAGES, IDS)[1], np.asarray(Image.open(buffer)))


def test_night_is_darker_by_the_gamma_with_noise() -> None:
    grey = np.full((1, 200, 200, 3), 128, np.uint8)
    found = plant("night", grey, ["a"]).astype(float)
    assert found.mean() == pytest.approx(255 * (128 / 255) ** 2.2, abs=0.3)  # 120,000 draws
    assert found.std() == pytest.approx(NIGHT_SD, abs=0.3)


@pytest.mark.parametrize("shift", ["camera", "jpeg", "night"])
def test_a_photo_s_change_depends_on_its_pixels_and_id_alone(shift: str) -> None:
    whole = plant(shift, IMAGES, IDS)  # type: ignore[arg-type]
    assert whole.shape == IMAGES.shape
    assert whole.dtype == np.uint8
    assert (whole != IMAGES).any(axis=(1, 2, 3)).all()
    turned = plant(shift, IMAGES[::-1], IDS[::-1])  # type: ignore[arg-type]
    np.testing.assert_array_equal(turned[::-1], whole)


def test_others_change_no_pixel_and_shares_keep_a_stated_part_of_people() -> None:
    assert plant("none", IMAGES, IDS) is IMAGES
    assert plant("shares", IMAGES, IDS) is IMAGES
    kept = [keeps_person(f"p{i}", one_in=5) for i in range(2000)]
    assert np.mean(kept) == pytest.approx(0.2, abs=0.03)
