"""The views of an image: hand-checked crops and resizes, the changes of pixels, the spec itself."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from photos import LIVELY, PLAIN, noise

from maskcls.data.transforms import ViewSpec, build_pixel_changes, change_pixels, eval_view
from maskcls.engine.device import normalise
from maskcls.engine.execution import Execution


def numbered(height: int, width: int) -> np.ndarray:
    """Return (H, W, 3) with another value in every pixel; at most 256 pixels."""
    grey = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    return np.stack([grey, 255 - grey, grey // 2], axis=2)


# --- the eval view


@pytest.mark.parametrize(
    ("crop", "size", "rows", "columns"),
    [
        ((1.0, 1.0), (16, 12), slice(0, 16), slice(0, 12)),
        ((0.25, 0.5), (4, 6), slice(6, 10), slice(3, 9)),
        ((0.3, 0.42), (5, 5), slice(5, 10), slice(3, 8)),  # an odd remainder goes to the bottom right
        ((0.5, 0.5), (8, 6), slice(4, 12), slice(3, 9)),
        ((0.01, 0.01), (1, 1), slice(7, 8), slice(5, 6)),  # at least one pixel
    ],
)
def test_the_crop_is_central(crop: tuple[float, float], size: tuple[int, int], rows: slice, columns: slice) -> None:
    image = numbered(16, 12)
    got = eval_view(image, replace(PLAIN, crop=crop, size=size))
    np.testing.assert_array_equal(got, image[rows, columns])
    assert got.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(image, numbered(16, 12))


def test_shrinking_averages_whole_areas() -> None:
    image = np.zeros((4, 6, 3), dtype=np.uint8)
    image[:2, :3, 0] = [[0, 60, 120], [0, 0, 180]]  # mean 60, but 30 in the middle
    image[2:, 3:, 1] = 90
    got = eval_view(image, replace(PLAIN, size=(2, 2)))
    assert got[:, :, 0].tolist() == [[60, 0], [0, 0]]
    assert got[:, :, 1].tolist() == [[0, 0], [0, 90]]


def test_enlarging_is_linear_between_pixel_centres() -> None:
    image = np.zeros((1, 2, 3), dtype=np.uint8)
    image[0, 1] = 100
    got = eval_view(image, replace(PLAIN, size=(1, 4)))
    assert got[0, :, 0].tolist() == [0, 25, 75, 100]


def test_size_is_height_then_width() -> None:
    assert eval_view(noise(0), replace(PLAIN, size=(10, 40))).shape == (10, 40, 3)


# --- the changes that albumentations makes


CHANGES = ("gray", "clahe", "sharpen", "blur")


def edges(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image.astype(float), axis=1)).mean())


def changed(spec: ViewSpec, image: np.ndarray, count: int) -> list[np.ndarray]:
    changes = build_pixel_changes(spec)
    assert changes is not None
    return [change_pixels(image, changes, (0, 0, i)) for i in range(count)]


def test_without_changes_albumentations_is_left_alone() -> None:
    assert build_pixel_changes(LIVELY) is None


@pytest.mark.parametrize("option", CHANGES)
def test_a_change_of_probability_one_always_happens_and_of_a_fifth_sometimes(option: str) -> None:
    image = noise(0, 32, 32)
    assert all(not np.array_equal(v, image) for v in changed(replace(PLAIN, **{option: 1.0}), image, 30))
    times = sum(not np.array_equal(v, image) for v in changed(replace(PLAIN, **{option: 0.2}), image, 200))
    assert 15 < times < 65  # 40 +- 5 standard deviations of 5.7, rounded up


def test_each_change_is_what_its_name_says() -> None:
    image = noise(0, 32, 32)
    (gray,) = changed(replace(PLAIN, gray=1.0), image, 1)
    assert (gray == gray[:, :, :1]).all()
    (sharp,) = changed(replace(PLAIN, sharpen=1.0), image // 2 + 64, 1)
    assert edges(sharp) > edges(image // 2 + 64)
    (soft,) = changed(replace(PLAIN, blur=1.0), image, 1)
    assert edges(soft) < 0.8 * edges(image)
    dull = (image // 8 + 120).astype(np.uint8)
    (local,) = changed(replace(PLAIN, clahe=1.0), dull, 1)
    assert local.std() > 1.2 * dull.std()


def test_the_same_image_and_seed_change_alike_whatever_came_before() -> None:
    image, spec = noise(0), replace(PLAIN, gray=0.5, clahe=0.5, sharpen=0.5, blur=0.5)
    changes, fresh = build_pixel_changes(spec), build_pixel_changes(spec)
    assert changes
    assert fresh
    first = [change_pixels(image, changes, (1, 2, i)) for i in range(20)]
    for i in reversed(range(20)):
        np.testing.assert_array_equal(change_pixels(image, fresh, (1, 2, i)), first[i])
    assert len({view.tobytes() for view in first}) > 10
    np.testing.assert_array_equal(image, noise(0))


# --- mean and std, on the device


@pytest.mark.parametrize("layout", ["channels_last", "contiguous"])
def test_normalise_by_hand(layout: str) -> None:
    images = torch.tensor([[[[0, 51, 255]], [[255, 102, 0]]]], dtype=torch.uint8)  # (1, 2, 1, 3)
    mean, std = (0.5, 0.2, 0.0), (0.25, 0.1, 2.0)
    execution = Execution(memory_format=layout)
    got = normalise(images, mean=mean, std=std, execution=execution)
    assert got.shape == (1, 3, 2, 1)
    assert got.dtype == torch.float32
    want = [-2, 2, 0, 2, 0.5, 0]
    assert got.flatten().tolist() == pytest.approx(want, abs=1e-6)  # 51/255 = 0.2, 102/255 = 0.4
    batch = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    out = normalise(batch, mean=mean, std=std, execution=execution)
    assert out.is_contiguous(memory_format=getattr(torch, {"contiguous": "contiguous_format"}.get(layout, layout)))
    floats = torch.full((1, 2, 1, 3), 51.0)  # what comes from augment_on_device
    again = normalise(floats, mean=mean, std=std, execution=execution)
    assert again[0, :, 0, 0].tolist() == pytest.approx([-1.2, 0, 0.1], abs=1e-6)
    assert floats.tolist() == torch.full((1, 2, 1, 3), 51.0).tolist()  # what is given is left as it was


# --- the spec itself


@pytest.mark.parametrize("crop", [(1.0, 1.0), (0.5, 0.25)])
def test_a_spec_survives_json(crop: tuple[float, float]) -> None:
    spec = replace(LIVELY, crop=crop)
    back = ViewSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert back == spec
    assert hash(back) == hash(spec)
    assert type(back.crop) is type(crop)


def test_every_field_has_a_test_above() -> None:
    """A new field fails here, to be given its test, above or in test_augment.py."""
    tested = {"crop", "size", "hflip", "geometry", "shift", "scale", "rotate_deg", "colour", "brightness", "contrast"}
    assert {field.name for field in fields(ViewSpec)} == tested | {"cutout", "cutout_size", "mean", "std", *CHANGES}
