"""Crop and resize as tensor operations give the pixels of OpenCV."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from tiny import tiny

from maskcls.data.views.transforms import ViewSpec, eval_view
from maskcls.export import graph_resize
from maskcls.export.graph_resize import crop_and_resize, resize_differences
from maskcls.results.photo_model import Photo
from maskcls.training.experiment import view_spec

SIZE = (40, 30)


def spec(crop: tuple[float, float] = (1.0, 1.0), centre: tuple[float, float] = (0.5, 0.5)) -> ViewSpec:
    return replace(view_spec(tiny()), crop=crop, crop_centre=centre, size=SIZE)


def photo(height: int, width: int, seed: int = 0, blur: float = 0.0) -> Photo:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), blur) if blur else noise


def resized(photo_HWC: Photo, view: ViewSpec) -> np.ndarray:
    batch = torch.from_numpy(photo_HWC)[None]
    return crop_and_resize(batch, crop=view.crop, centre=view.crop_centre, size=view.size)[0].numpy()


def test_a_photo_of_the_size_of_the_input_stays_as_it_is() -> None:
    same = photo(*SIZE)

    assert (resized(same, spec()) == same).all()


def test_halves_of_four_pixels_are_rounded_up_as_opencv_does() -> None:
    black = np.zeros((80, 60, 3), np.uint8)
    black[::2, ::2] = 2  # the mean of each four is 0.5
    black[::2, ::2, 1] = 6  # 1.5

    assert np.unique(resized(black, spec())[..., 0]).tolist() == [1]
    assert np.unique(resized(black, spec())[..., 1]).tolist() == [2]


# OpenCV has other code for other processors, so one level of difference in a few values is allowed; on x86 it is none.
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("smaller by a whole number", [(80, 60), (120, 90), (80, 120), (160, 60)]),
        ("smaller", [(41, 31), (57, 93), (101, 64), (333, 47), (50, 300)]),
        ("larger", [(20, 16), (39, 29), (16, 24), (33, 20)]),
        ("one side larger", [(80, 16), (20, 90), (40, 60), (90, 30), (41, 29)]),
    ],
)
@pytest.mark.parametrize("blur", [0.0, 3.0])
@pytest.mark.parametrize("view", [spec(), spec((0.83, 0.65), (0.31, 0.62)), spec((0.5, 0.5), (0.0, 1.0))])
def test_pixels_are_those_of_the_validation_view(
    name: str, sizes: list[tuple[int, int]], blur: float, view: ViewSpec
) -> None:
    photos = [photo(*size, seed=place, blur=blur) for place, size in enumerate(sizes)]

    for one in photos:
        found, want = resized(one, view), eval_view(one, view)
        assert found.shape == want.shape
        assert np.abs(found - want).max() <= 1, name
    share, largest = resize_differences(photos, [view])
    assert largest <= 1
    assert share < 1e-3


def test_differences_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(image_HWC: Photo, view: ViewSpec) -> Photo:
        changed = eval_view(image_HWC, view).astype(np.int16)
        changed[0, 0, 0] += 3 if changed[0, 0, 0] < 100 else -3
        return changed.astype(np.uint8)

    monkeypatch.setattr(graph_resize, "eval_view", other)

    share, largest = resize_differences([photo(*SIZE), photo(*SIZE, seed=1)], [spec()])

    assert (share, largest) == (1 / (40 * 30 * 3), 3)


def test_a_batch_is_resized_photo_by_photo() -> None:
    both = np.stack([photo(70, 55), photo(70, 55, seed=1)])
    view = spec((0.9, 0.8))

    found = crop_and_resize(torch.from_numpy(both), crop=view.crop, centre=view.crop_centre, size=view.size)

    assert found.dtype == torch.float32
    for one, whole in zip(found.numpy(), both, strict=True):
        np.testing.assert_array_equal(one, resized(whole, view))
