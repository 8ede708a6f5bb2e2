"""Which photos are blank, dark, blurred or of an odd size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskcls.data.photos.quality import FAULTS, MEASURES, by_name, quality_faults, quality_measures


def textured(seed: int, height: int = 96, width: int = 72) -> np.ndarray:
    """Return a photo with details of all sizes."""
    rng = np.random.default_rng(seed)
    image = sum(
        cv2.resize(rng.normal(size=(height // s, width // s, 3)), (width, height), interpolation=cv2.INTER_CUBIC) * s
        for s in (1, 2, 4, 8, 16)
    )
    return np.clip(128 + 6 * image, 0, 255).astype(np.uint8)


def faults_of(images: list[np.ndarray]) -> dict[str, list[int]]:
    found = quality_faults(by_name(np.stack([quality_measures(image) for image in images])))
    assert tuple(found) == FAULTS
    return {name: np.flatnonzero(mask).tolist() for name, mask in found.items()}


def test_the_figures_of_a_plain_photo_are_those_of_a_hand_calculation() -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, 20:] = (200, 100, 50)
    found = dict(zip(MEASURES, quality_measures(image).tolist(), strict=True))
    grey = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert (found["height"], found["width"], found["brightness"]) == (20, 40, grey)
    assert found["contrast"] == pytest.approx(grey / 2)
    assert (found["redness"], found["blueness"]) == (50, -25)


def test_clean_photos_have_no_fault() -> None:
    assert faults_of([textured(seed) for seed in range(40)]) == {name: [] for name in FAULTS}


def test_each_fault_is_found_and_no_other() -> None:
    images = [textured(seed) for seed in range(40)]
    images[3] = np.full((96, 72, 3), 90, np.uint8)
    images[5] = (images[5] * 0.2).astype(np.uint8)
    images[8] = cv2.GaussianBlur(images[8], (0, 0), 3)
    images[11] = textured(11, 96, 40)
    images[12] = textured(12, 192, 144)
    assert faults_of(images) == {"blank": [3], "dark": [5], "blurred": [8], "odd size": [11, 12]}


def test_a_set_that_is_soft_or_of_two_sizes_as_a_whole_has_no_fault() -> None:
    soft = [cv2.GaussianBlur(textured(seed), (0, 0), 2) for seed in range(40)]
    assert faults_of(soft)["blurred"] == []
    sizes = [textured(seed, *((96, 72), (240, 240))[seed % 2]) for seed in range(40)]
    assert faults_of(sizes)["odd size"] == []


def test_no_photo_and_one_photo() -> None:
    assert all(not mask.any() for mask in quality_faults(by_name(np.zeros((0, len(MEASURES)), np.float32))).values())
    assert faults_of([textured(0)]) == {name: [] for name in FAULTS}
