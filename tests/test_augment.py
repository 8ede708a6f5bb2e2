"""What an image undergoes in training: every option of the spec at work, on the host and on the device alike."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
import torch
from photos import LIVELY, PLAIN, noise

from maskcls.data.augment import HOP, _scramble, augment, augment_on_device, draw, uniforms
from maskcls.data.transforms import ViewSpec

DRAWS = 400
ON_DEVICE = False


@pytest.fixture(params=["host", "device"], autouse=True)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test in both places; the device rounds nothing itself."""
    monkeypatch.setattr("test_augment.ON_DEVICE", request.param == "device")


def views(image: np.ndarray, spec: ViewSpec, count: int = DRAWS) -> list[np.ndarray]:
    """Return `count` train views of one image, each keyed on its number."""
    return views_of(np.broadcast_to(image, (count, *image.shape)), spec, np.arange(count, dtype=np.uint64))


def views_of(batch: np.ndarray, spec: ViewSpec, keys: np.ndarray) -> list[np.ndarray]:
    spec = replace(spec, size=(batch.shape[1], batch.shape[2]))
    draws = draw(spec, seed=0, epoch_B=np.zeros(len(keys), dtype=np.int64), key_B=keys)
    if not ON_DEVICE:
        return list(augment(batch, draws, spec.fill))
    floats = augment_on_device(torch.from_numpy(batch.copy()), draws, spec.fill)
    return list(floats.round().byte().permute(0, 2, 3, 1).contiguous().numpy())


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


# --- what is drawn


def test_a_view_depends_on_its_seed_and_not_on_its_batch() -> None:
    image = noise(0)
    together = views(image, LIVELY, 20)
    for i in reversed(range(20)):
        (alone,) = views_of(image[None], LIVELY, np.array([i], dtype=np.uint64))
        np.testing.assert_array_equal(alone, together[i])
    assert all(view.dtype == np.uint8 and view.flags["C_CONTIGUOUS"] for view in together)
    np.testing.assert_array_equal(image, noise(0))


@pytest.mark.parametrize("part", ["seed", "epoch", "key"])
def test_every_part_of_the_seed_changes_the_numbers(part: str) -> None:
    found = set()
    for i in range(30):
        seed, epoch, key = (i if part == name else 7 for name in ("seed", "epoch", "key"))
        found.add(uniforms(seed, np.array([epoch]), np.array([key], dtype=np.uint64), 12).tobytes())
    assert len(found) == 30


def test_the_numbers_are_splitmix64() -> None:
    """The first outputs of the published generator for the state 1234567, from its reference implementation."""
    state = np.array([1234567], dtype=np.uint64)
    hops = np.arange(1, 4, dtype=np.uint64) * HOP
    want = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert _scramble(state + hops).tolist() == want


def test_the_numbers_are_uniform_and_independent() -> None:
    u = uniforms(2**32 - 1, np.full(20_000, 10**6), np.arange(20_000, dtype=np.uint64) * np.uint64(2**50), 12)
    assert u.shape == (20_000, 12)
    assert 0 <= u.min() < 0.001
    assert 0.999 < u.max() < 1
    np.testing.assert_allclose(u.mean(axis=0), 0.5, atol=0.0102)  # 5 standard errors
    np.testing.assert_allclose(u.var(axis=0), 1 / 12, atol=0.004)
    between = np.corrcoef(u.T) - np.eye(12)
    assert np.abs(between).max() < 0.036  # 5 standard errors
    assert abs(np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]) < 0.036


def test_a_negative_epoch_changes_nothing() -> None:
    always = replace(LIVELY, hflip=1.0, geometry=1.0, colour=1.0, cutout=1.0)
    draws = draw(always, seed=0, epoch_B=np.array([-1, 0]), key_B=np.array([3, 3], dtype=np.uint64))
    still, moved = augment(np.stack([noise(0)] * 2), draws, always.fill)
    np.testing.assert_array_equal(still, noise(0))
    assert not np.array_equal(moved, noise(0))


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


# --- two places, one result


def face_like(height: int, width: int) -> np.ndarray:
    """Return an image with smooth parts and hard edges, uint8 (H, W, 3)."""
    rough = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    image = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    image[height // 2 :, width // 4 : width // 2] = (250, 5, 120)
    return image


def test_host_and_device_agree_to_within_rounding() -> None:
    image = face_like(64, 48)
    spec = replace(LIVELY, size=(64, 48), rotate_deg=30.0, cutout=0.5)
    draws = draw(spec, seed=0, epoch_B=np.zeros(DRAWS, dtype=np.int64), key_B=np.arange(DRAWS, dtype=np.uint64))
    batch = np.ascontiguousarray(np.broadcast_to(image, (DRAWS, *image.shape)))
    host = augment(batch, draws, spec.fill).astype(np.float32)
    device = augment_on_device(torch.from_numpy(batch), draws, spec.fill).permute(0, 2, 3, 1).numpy()
    difference = np.abs(host - device)
    assert difference.mean() < 0.5
    assert np.quantile(difference, 0.999) < 8  # a 32nd of a pixel across an edge of 245 levels
    boxes = draws.box[:, 2] > 0
    assert 150 < boxes.sum() < 250


def test_flips_and_boxes_are_exact_on_the_device() -> None:
    spec = replace(PLAIN, hflip=0.5, cutout=0.5)
    keys = np.arange(DRAWS, dtype=np.uint64)
    draws = draw(spec, seed=0, epoch_B=np.zeros(DRAWS, dtype=np.int64), key_B=keys)
    batch = np.ascontiguousarray(np.broadcast_to(noise(0), (DRAWS, *noise(0).shape)))
    host = augment(batch, draws, spec.fill)
    device = augment_on_device(torch.from_numpy(batch), draws, spec.fill).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(device, host, atol=0.01)


def test_the_number_of_threads_changes_nothing() -> None:
    spec = replace(LIVELY, size=noise(0).shape[:2])
    draws = draw(spec, seed=0, epoch_B=np.zeros(7, dtype=np.int64), key_B=np.arange(7, dtype=np.uint64))
    batch = np.stack([noise(i) for i in range(7)])
    np.testing.assert_array_equal(
        augment(batch, draws, spec.fill, threads=3), augment(batch, draws, spec.fill, threads=1)
    )
