"""The views of an image: hand-checked crops and resizes, and every option of the spec at work."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest
import torch
from photos import LIVELY, PLAIN, noise

from maskcls.data.transforms import ViewSpec, augment, build_augmentation, eval_view
from maskcls.engine.device import normalise

DRAWS = 400


def views(image: np.ndarray, spec: ViewSpec, count: int = DRAWS, *, seed: int = 0) -> list[np.ndarray]:
    """Return `count` train views of one image, each keyed on its number."""
    augmentation = build_augmentation(spec)
    return [augment(image, augmentation, (seed, 0, i)) for i in range(count)]


def numbered(height: int, width: int) -> np.ndarray:
    """Return (H, W, 3) with another value in every pixel; at most 256 pixels."""
    grey = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    return np.stack([grey, 255 - grey, grey // 2], axis=2)


def square(side: int, size: int) -> np.ndarray:
    """Return black (side, side, 3) with a white square of `size` in its middle."""
    image = np.zeros((side, side, 3), dtype=np.uint8)
    low = (side - size) // 2
    image[low : low + size, low : low + size] = 255
    return image


def bounds(image: np.ndarray) -> tuple[float, float, int, int]:
    """Return the middle (y, x) and the extent (height, width) of the bright pixels."""
    ys, xs = np.nonzero(image[:, :, 0] > 127)
    return (
        (ys.min() + ys.max()) / 2,
        (xs.min() + xs.max()) / 2,
        int(ys.max() - ys.min()) + 1,
        int(xs.max() - xs.min()) + 1,
    )


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


# --- what is drawn


def test_the_same_image_and_seed_give_the_same_view_whatever_came_before() -> None:
    image, augmentation = noise(0), build_augmentation(LIVELY)
    first = [augment(image, augmentation, (1, 2, i)) for i in range(20)]
    fresh = build_augmentation(LIVELY)
    for i in reversed(range(20)):
        np.testing.assert_array_equal(augment(image, fresh, (1, 2, i)), first[i])
    assert all(view.dtype == np.uint8 and view.flags["C_CONTIGUOUS"] for view in first)
    np.testing.assert_array_equal(image, noise(0))


@pytest.mark.parametrize("position", [0, 1, 2])
def test_every_part_of_the_seed_changes_the_view(position: int) -> None:
    image, augmentation = noise(0), build_augmentation(replace(LIVELY, geometry=1.0))
    keys = [tuple(i if p == position else 7 for p in range(3)) for i in range(30)]
    assert len({augment(image, augmentation, key).tobytes() for key in keys}) == 30


def test_keys_of_64_bits_are_fine() -> None:
    augment(noise(0), build_augmentation(LIVELY), (2**32 - 1, 10**6, 2**64 - 1))


def test_steps_of_equal_probability_fire_independently() -> None:
    """One generator a step, all with the same seed, would fire them all together or not at all."""
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[:, 16:] = 100
    spec = replace(PLAIN, size=(32, 32), hflip=0.5, colour=0.5, brightness=0.3, cutout=0.5, mean=(1.0, 0.0, 0.0))
    fired: list[tuple[bool, bool, bool]] = []
    for view in views(image, spec):
        grey = view[(view[:, :, 0] == view[:, :, 1])]  # all but the cut-out, which is red
        values = np.unique(grey[:, 0])
        flipped = view[:, :16, 1].sum(dtype=int) > view[:, 16:, 1].sum(dtype=int)
        fired.append((bool(flipped), values.max() != 100, bool((view == (255, 0, 0)).all(axis=2).any())))
    assert len(fired) == DRAWS
    for step in zip(*fired, strict=True):
        assert 150 < sum(step) < 250  # 200 +- 5 standard deviations of 10
    pairs = list(combinations(zip(*fired, strict=True), 2))
    assert len(pairs) == 3
    for one, other in pairs:
        assert 150 < sum(a == b for a, b in zip(one, other, strict=True)) < 250


@pytest.mark.parametrize("option", ["hflip", "geometry", "colour", "cutout"])
def test_a_probability_of_zero_means_never_and_of_one_always(option: str) -> None:
    image = noise(0)
    strong = replace(LIVELY, hflip=0.0, geometry=0.0, colour=0.0, cutout=0.0)
    assert all(np.array_equal(view, image) for view in views(image, strong, 50))
    changed = sum(not np.array_equal(view, image) for view in views(image, replace(strong, **{option: 1.0}), 100))
    assert changed == 100
    changed = sum(not np.array_equal(view, image) for view in views(image, replace(strong, **{option: 0.2})))
    assert 40 < changed < 120  # 80 +- 5 standard deviations of 8


def test_hflip_mirrors_left_and_right() -> None:
    image = noise(0)
    for view in views(image, replace(PLAIN, hflip=1.0), 5):
        np.testing.assert_array_equal(view, image[:, ::-1])


def test_shift_moves_by_at_most_its_share_of_each_side() -> None:
    image = square(40, 4)
    moved = [bounds(v) for v in views(image, replace(PLAIN, geometry=1.0, shift=0.25))]
    ys, xs = np.array([m[0] for m in moved]) - 19.5, np.array([m[1] for m in moved]) - 19.5
    for d in (ys, xs):
        assert np.abs(d).max() <= 10.5  # a quarter of 40, and rounding
        assert d.min() < -8
        assert d.max() > 8
    assert abs(np.corrcoef(ys, xs)[0, 1]) < 0.25
    assert {m[2:] for m in moved} <= {(h, w) for h in (3, 4, 5) for w in (3, 4, 5)}


def test_scale_enlarges_and_shrinks_both_sides_alike() -> None:
    extents = [bounds(v)[2:] for v in views(square(64, 20), replace(PLAIN, geometry=1.0, scale=0.4))]
    heights, widths = np.array(extents).T
    assert np.abs(heights - widths).max() <= 1
    assert heights.min() >= 11  # 20 * 0.6
    assert heights.max() <= 29  # 20 * 1.4
    assert heights.min() < 14
    assert heights.max() > 26


def test_rotate_turns_by_at_most_its_degrees_both_ways() -> None:
    image = np.zeros((65, 65, 3), dtype=np.uint8)
    image[31:34, 12:53] = 255
    angles = []
    for view in views(image, replace(PLAIN, geometry=1.0, rotate_deg=30.0)):
        ys, xs = np.nonzero(view[:, :, 0] > 127)
        angles.append(np.degrees(np.arctan(np.polyfit(xs, ys, 1)[0])))
    assert max(np.abs(angles)) <= 31.5  # pixels make the slope a little rough
    assert min(angles) < -25
    assert max(angles) > 25


def test_what_comes_in_at_the_border_is_a_mirror_not_black() -> None:
    image = np.full((32, 32, 3), 200, dtype=np.uint8)
    for view in views(image, replace(PLAIN, geometry=1.0, shift=0.4, scale=0.4, rotate_deg=45.0), 50):
        assert (view == 200).all()


def test_brightness_adds_a_share_of_the_range() -> None:
    image = np.full((8, 8, 3), 120, dtype=np.uint8)
    values = [int(v[0, 0, 0]) for v in views(image, replace(PLAIN, colour=1.0, brightness=0.2))]
    assert min(values) >= 120 - 52  # 0.2 * 255, rounded
    assert max(values) <= 120 + 52
    assert min(values) < 80
    assert max(values) > 160


def test_contrast_multiplies() -> None:
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[:, 4:] = 100
    for_draws = views(image, replace(PLAIN, colour=1.0, contrast=0.3))
    spans = [int(v[0, 7, 0]) - int(v[0, 0, 0]) for v in for_draws]
    assert min(spans) >= 69
    assert max(spans) <= 131
    assert min(spans) < 80
    assert max(spans) > 120


@pytest.mark.parametrize(("share", "height", "width"), [(0.25, 10, 5), (0.5, 20, 10)])
def test_cutout_is_one_box_of_its_size_in_the_mean_colour_anywhere(share: float, height: int, width: int) -> None:
    image = np.full((40, 20, 3), 250, dtype=np.uint8)
    corners = set()
    for view in views(image, replace(PLAIN, cutout=1.0, cutout_size=share, mean=(0.5, 0.4, 0.3))):
        ys, xs = np.nonzero((view != 250).any(axis=2))
        assert len(ys) == height * width
        assert (ys.max() - ys.min() + 1, xs.max() - xs.min() + 1) == (height, width)
        assert np.unique(view[ys, xs], axis=0).tolist() == [[128, 102, 76]]  # 127.5 rounds to even
        corners.add((int(ys.min()), int(xs.min())))
    assert min(y for y, _ in corners) == 0
    assert max(y for y, _ in corners) == 40 - height
    assert min(x for _, x in corners) == 0
    assert max(x for _, x in corners) == 20 - width


def test_strong_settings_at_the_edge_of_the_configuration_are_fine() -> None:
    edge = replace(LIVELY, hflip=1.0, geometry=1.0, colour=1.0, cutout=1.0, shift=0.99, scale=0.99, rotate_deg=180.0)
    edge = replace(edge, brightness=0.99, contrast=0.99, cutout_size=0.99)
    assert {view.shape for view in views(noise(0, 8, 8), edge, 50)} == {(8, 8, 3)}


# --- mean and std, on the device


@pytest.mark.parametrize("channels_last", [True, False])
def test_normalise_by_hand(channels_last: bool) -> None:
    images = torch.tensor([[[[0, 51, 255]], [[255, 102, 0]]]], dtype=torch.uint8)  # (1, 2, 1, 3)
    mean, std = (0.5, 0.2, 0.0), (0.25, 0.1, 2.0)
    got = normalise(images, device=torch.device("cpu"), mean=mean, std=std, channels_last=channels_last)
    assert got.shape == (1, 3, 2, 1)
    assert got.dtype == torch.float32
    want = [-2, 2, 0, 2, 0.5, 0]
    assert got.flatten().tolist() == pytest.approx(want, abs=1e-6)  # 51/255 = 0.2, 102/255 = 0.4
    batch = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    out = normalise(batch, device=torch.device("cpu"), mean=mean, std=std, channels_last=channels_last)
    assert out.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


# --- the spec itself


@pytest.mark.parametrize("crop", [(1.0, 1.0), (0.5, 0.25)])
def test_a_spec_survives_json(crop: tuple[float, float]) -> None:
    spec = replace(LIVELY, crop=crop)
    back = ViewSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert back == spec
    assert hash(back) == hash(spec)
    assert type(back.crop) is type(crop)


def test_every_field_has_a_test_above() -> None:
    """A new field fails here, to be given its test."""
    tested = {"crop", "size", "hflip", "geometry", "shift", "scale", "rotate_deg", "colour", "brightness", "contrast"}
    assert {field.name for field in fields(ViewSpec)} == tested | {"cutout", "cutout_size", "mean", "std"}
