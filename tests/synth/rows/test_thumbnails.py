"""Thumbnails: of a copy they are nearly those of the photo, and copies of drawn faces are found by them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import experiment

from maskcls.results.synth.copied_faces import copy_limit, nearest_photos
from maskcls.synth.loop.synth_rows import synth_spec, view_images
from maskcls.synth.rows.thumbnails import SIDE, both_ways, thumbnails


def test_brightness_and_contrast_do_not_count() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(60, 120, (3, 32, 32, 3)).astype(np.uint8)
    found = thumbnails(images)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose((found**2).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(thumbnails(2 * images + 10), found, atol=0.02)
    assert (thumbnails(np.full((1, 20, 30, 3), 7, np.uint8)) == 0).all()


def test_a_thumbnail_is_the_mean_of_its_pixels() -> None:
    cells = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE)).astype(np.uint8)
    image = np.repeat(np.repeat(cells, 3, axis=0), 2, axis=1)[..., None].repeat(3, axis=2)
    wanted = cells.astype(float).ravel() - cells.mean()
    np.testing.assert_allclose(thumbnails(image[None])[0], wanted / np.linalg.norm(wanted), atol=1e-5)
    np.testing.assert_array_equal(both_ways(image[None])[1], thumbnails(image[None, :, ::-1].copy())[0])


def _changed(image: NDArray[np.uint8], change: str) -> NDArray[np.uint8]:
    match change:
        case "shifted":
            return np.roll(image, 1, axis=1)
        case "blurred":
            return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8)
        case "mirrored":
            return image[:, ::-1].copy()
        case _:
            return np.clip(image * 1.15, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", ["shifted", "blurred", "mirrored", "brighter"])
def test_copies_of_drawn_faces_are_found(drawn: Path, change: str) -> None:
    faces = experiment(drawn, "synth.size=[64,48]")
    images = view_images(faces, np.arange(len(faces.manifest)), synth_spec(faces.cfg))
    photo_ND, people = both_ways(images), np.tile(faces.people, 2)
    limit = copy_limit(photo_ND, people, 0.05)
    copies = np.stack([_changed(image, change) for image in images])
    assert (nearest_photos(thumbnails(copies), photo_ND)[0] < limit).mean() > 0.9
