"""What an image undergoes in training: every option of the spec at work, on the host and on the device alike."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
import torch
from photos import LIVELY, PLAIN, noise
from PIL import Image, ImageEnhance

from maskcls.data.views.augment import augment, augment_on_device
from maskcls.data.views.draws import draw
from maskcls.data.views.keyed_random import HOP, _scramble, uniforms
from maskcls.data.views.randaugment import OPERATIONS, operate
from maskcls.data.views.transforms import ViewSpec

DRAWS = 400
ON_DEVICE = False
# The steps that came later, with their strengths; each is off until its probability is given.
LATER = replace(LIVELY, saturation=0.3, hue=0.1, zoom_share=0.6, erasing_boxes=3, grid_unit=0.5)


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
    always = replace(LATER, hflip=1.0, geometry=1.0, colour=1.0, cutout=1.0, zoom=1.0, erasing=1.0, grid_dropout=1.0)
    always = replace(always, randaugment=0 if ON_DEVICE else 3)
    draws = draw(always, seed=0, epoch_B=np.array([-1, 0]), key_B=np.array([3, 3], dtype=np.uint64))
    still, moved = augment(np.stack([noise(0)] * 2), draws, always.fill)
    if ON_DEVICE:
        floats = augment_on_device(torch.from_numpy(np.stack([noise(0)] * 2)), draws, always.fill)
        still, moved = floats.round().byte().permute(0, 2, 3, 1).numpy()
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


def test_later_steps_move_no_number_of_the_earlier_ones() -> None:
    """The numbers below were drawn before zoom, saturation, hue, erasing, grid_dropout and randaugment existed."""
    always = replace(LIVELY, size=(128, 96), hflip=1.0, geometry=1.0, colour=1.0, cutout=1.0)
    later = replace(always, saturation=0.5, hue=0.1, erasing=1.0, erasing_boxes=3, grid_dropout=1.0, randaugment=2)
    for spec in (always, later):
        draws = draw(spec, seed=7, epoch_B=np.array([3]), key_B=np.array([2**63 + 11], dtype=np.uint64))
        source = [[-1.1033, 0.2756, 76.9308], [0.2756, 1.1033, -23.8381]]
        gain, offset, box = 1.2644589, 1.0535692, [26, 10, 64, 39]
        np.testing.assert_allclose(draws.source[0], source, atol=1e-3)
        assert (draws.gain.item(), draws.offset.item()) == pytest.approx((gain, offset), rel=1e-6)
        assert draws.box.tolist() == [box]
    fewer = replace(later, erasing_boxes=1, erasing_area=(0.3, 0.3))
    assert draw(fewer, seed=7, epoch_B=np.array([3]), key_B=np.array([5], dtype=np.uint64)).box.shape == (1, 4)


@pytest.mark.parametrize("option", ["hflip", "geometry", "colour", "cutout", "zoom", "erasing", "grid_dropout"])
def test_a_probability_of_zero_means_never_and_of_one_always(option: str) -> None:
    image = noise(0)
    strong = replace(LATER, hflip=0.0, geometry=0.0, colour=0.0, cutout=0.0)
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


@pytest.mark.parametrize("step", ["saturation", "hue"])
def test_colours_move_about_a_grey_that_stays(step: str) -> None:
    """Luma by the weights of broadcast video; its change is that of rounding three channels, half a level each."""
    image = np.full((4, 4, 3), (140, 110, 100), dtype=np.uint8)
    luma = np.array([0.299, 0.587, 0.114])
    spec = replace(PLAIN, colour=1.0, saturation=0.2) if step == "saturation" else replace(PLAIN, colour=1.0, hue=0.2)
    seen = [view[0, 0].astype(float) for view in views(image, spec)]
    assert all(abs((pixel - image[0, 0]) @ luma) < 1 for pixel in seen)
    if step == "hue":
        before, *after = (complex(q, i) for _, i, q in (colorsys.rgb_to_yiq(*(p / 255)) for p in [image[0, 0], *seen]))
        turned = np.angle(np.array(after) / before) / (2 * np.pi)  # a colour's angle, in parts of the circle
        assert -0.21 < turned.min() < -0.18  # 20 levels from grey, rounding is worth a hundredth
        assert 0.18 < turned.max() < 0.21
        np.testing.assert_allclose(np.abs(after), abs(before), rtol=0.1)
    else:
        spread = np.array([int(pixel[0]) - int(pixel[2]) for pixel in seen])
        assert spread.min() >= 31  # 40 * 0.8, rounded
        assert spread.max() <= 49
        assert spread.min() < 34
        assert spread.max() > 46
    for grey in views(np.full((4, 4, 3), 90, dtype=np.uint8), spec, 30):
        assert (grey == 90).all()


def test_saturation_is_that_of_pillow() -> None:
    image = face_like(32, 24)
    spec = replace(PLAIN, size=(32, 24), colour=1.0, saturation=0.6)
    keys = np.arange(20, dtype=np.uint64)
    draws = draw(spec, seed=0, epoch_B=np.zeros(20, dtype=np.int64), key_B=keys)
    seen = views_of(np.stack([image] * 20), spec, keys)
    for mix, view in zip(draws.mix, seen, strict=True):
        want = np.asarray(ImageEnhance.Color(Image.fromarray(image)).enhance(float(mix[0, 0] - mix[1, 0])))
        # Pillow rounds the grey value, which counts up to 0.6, and cuts the result.
        assert np.abs(view.astype(int) - want).max() <= 2


def test_a_positive_turn_goes_from_red_by_green_to_blue() -> None:
    spec = replace(PLAIN, colour=1.0, hue=0.5)
    draws = draw(spec, seed=0, epoch_B=np.zeros(50, dtype=np.int64), key_B=np.arange(50, dtype=np.uint64))
    turns = np.stack([m / np.cbrt(np.linalg.det(m)) for m in draws.mix.astype(float)])
    np.testing.assert_allclose(turns, draws.mix, atol=1e-5)  # a turn enlarges nothing
    u = uniforms(0, np.zeros(50, dtype=np.int64), np.arange(50, dtype=np.uint64), 14)[:, 13]
    for turn, mix in zip(2 * u - 1, draws.mix, strict=True):
        if 0.1 < turn * 0.5 < 0.23:  # of the circle; a third of it makes green of red
            red, green, blue = mix @ (0.6, 0.4, 0.4)
            assert red > blue
            assert green > blue


def test_zoom_takes_a_window_inside_the_image_of_the_same_shape() -> None:
    """Each pixel of the image tells its own place; the view's slope is then the share that was kept."""
    image = np.zeros((60, 40, 3), dtype=np.uint8)
    image[:, :, 0], image[:, :, 1] = 4 * np.arange(40), 4 * np.arange(60)[:, None]
    shares, tops, lefts = [], [], []
    for view in views(image, replace(PLAIN, zoom=1.0, zoom_share=0.5)):
        x_share, x_first = np.polyfit(np.arange(40), view[30, :, 0] / 4, 1)
        y_share, y_first = np.polyfit(np.arange(60), view[:, 20, 1] / 4, 1)
        assert x_share == pytest.approx(y_share, abs=0.01)
        shares.append(x_share)
        # Pixels are points in the middle of squares: the window begins half a square of its own before the first.
        lefts.append(x_first + 0.5 - x_share / 2)
        tops.append(y_first + 0.5 - y_share / 2)
        assert lefts[-1] > -0.2
        assert lefts[-1] + 40 * x_share < 40.2
        assert tops[-1] > -0.2
        assert tops[-1] + 60 * y_share < 60.2
    u = uniforms(0, np.zeros(DRAWS, dtype=np.int64), np.arange(DRAWS, dtype=np.uint64), 18)
    np.testing.assert_allclose(shares, 1 - u[:, 15] * 0.5, atol=0.01)
    # A window lies anywhere in what it leaves. Its slope's error is worth 0.2 at its start, and nothing on average; a
    # half-pixel forgotten would be up to a quarter, and 0.125 on average.
    for found, column, side in ((lefts, 16, 40), (tops, 17, 60)):
        off = np.array(found) - u[:, column] * u[:, 15] * 0.5 * side
        assert np.abs(off).max() < 0.25
        assert abs(off.mean()) < 0.04
    assert 0.49 < min(shares) < 0.53
    assert 0.97 < max(shares) < 1.01
    assert max(lefts) > 14
    assert max(tops) > 21
    assert abs(np.corrcoef(lefts, tops)[0, 1]) < 0.75  # both are small where much is kept


def test_zoom_comes_before_the_flip() -> None:
    image = face_like(48, 32)
    spec = replace(PLAIN, zoom=1.0, zoom_share=0.5)
    for plain, mirrored in zip(views(image, spec, 20), views(image, replace(spec, hflip=1.0), 20), strict=True):
        difference = np.abs(plain[:, ::-1].astype(int) - mirrored)
        assert difference.mean() < 1  # a 32nd of a pixel is rounded to one side or the other
        assert np.abs(plain.astype(int) - mirrored).mean() > 5


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


HIDING = replace(PLAIN, mean=(0.5, 0.4, 0.3))  # filled with (128, 102, 76)


def hidden(view: np.ndarray) -> np.ndarray:
    """Return where an image of 250 everywhere is filled (H, W)."""
    return np.asarray((view != 250).any(axis=2))


def test_erasing_hides_one_box_of_a_drawn_area_and_shape() -> None:
    image = np.full((80, 60, 3), 250, dtype=np.uint8)
    areas, ratios, corners = [], [], []
    for view in views(image, replace(HIDING, erasing=1.0, erasing_area=(0.05, 0.2))):
        ys, xs = np.nonzero(hidden(view))
        height, width = ys.max() - ys.min() + 1, xs.max() - xs.min() + 1
        assert len(ys) == height * width
        assert np.unique(view[ys, xs], axis=0).tolist() == [[128, 102, 76]]
        areas.append(len(ys) / 4800)
        ratios.append(height / width)
        corners.append((ys.min() / (80 - height), xs.min() / (60 - width)))
    # Sides of 8 to 60 pixels are rounded to whole ones.
    assert 0.045 < min(areas) < 0.06
    assert 0.19 < max(areas) < 0.21
    assert 0.28 < min(ratios) < 0.36
    assert 2.8 < max(ratios) < 3.6
    assert 0.8 < np.median(ratios) < 1.25  # as often high as wide
    assert np.min(corners) < 0.02
    assert np.max(corners) > 0.98


def test_erasing_boxes_share_the_area() -> None:
    image = np.full((80, 60, 3), 250, dtype=np.uint8)
    spec = replace(HIDING, erasing=1.0, erasing_area=(0.12, 0.12), erasing_boxes=3)
    parts = []
    for view in views(image, spec):
        mask = hidden(view)
        assert mask.mean() < 0.13
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
        parts.append(count - 1)
        if count == 4:  # three boxes that do not touch
            assert set(np.round(stats[1:, cv2.CC_STAT_AREA] / 192, 1)) <= {0.9, 1.0, 1.1}  # 0.04 of 4800 pixels
    assert set(parts) == {1, 2, 3}
    assert parts.count(3) > 60  # a third of the images have three, and some of them touch
    assert parts.count(1) > 100


def test_erasing_fills_with_noise_of_its_own() -> None:
    image = np.full((40, 30, 3), 250, dtype=np.uint8)
    spec = replace(HIDING, erasing=1.0, erasing_area=(0.5, 0.5), erasing_fill="noise")
    seen = [view[hidden(view)] for view in views(image, spec, 60)]
    assert len({pixels.tobytes() for pixels in seen}) == 60
    pixels = np.concatenate(seen).astype(float)
    np.testing.assert_allclose(pixels.mean(axis=0), 127.5, atol=3)
    np.testing.assert_allclose(pixels.std(axis=0), 73.9, atol=2)  # 256 / sqrt(12)
    assert np.abs(np.corrcoef(pixels.T) - np.eye(3)).max() < 0.05
    at_one_place = {tuple(view[20, 15]) for view in views(image, spec, 60)} - {(250, 250, 250)}
    assert len(at_one_place) > 20


@pytest.mark.parametrize(("unit", "ratio", "pixels", "side"), [(0.25, 0.4, 5, 2), (0.5, 0.5, 10, 5), (1e-9, 0.9, 2, 1)])
def test_grid_dropout_is_a_regular_grid_of_squares_anywhere(unit: float, ratio: float, pixels: int, side: int) -> None:
    image = np.full((40, 20, 3), 250, dtype=np.uint8)
    places = set()
    for view in views(image, replace(HIDING, grid_dropout=1.0, grid_unit=unit, grid_ratio=ratio)):
        mask = hidden(view)
        rows, columns = np.asarray(mask.any(axis=1)), np.asarray(mask.any(axis=0))
        np.testing.assert_array_equal(mask, np.outer(rows, columns))
        for line in (rows, columns):
            assert line[:pixels].sum() == side
            np.testing.assert_array_equal(line, np.resize(line[:pixels], len(line)))
        assert np.unique(view[mask], axis=0).tolist() == [[128, 102, 76]]
        places.add((rows[:pixels].tobytes(), columns[:pixels].tobytes()))
    assert len(places) > 0.9 * pixels**2


def test_strong_settings_at_the_edge_of_the_configuration_are_fine() -> None:
    edge = replace(LIVELY, hflip=1.0, geometry=1.0, colour=1.0, cutout=1.0, shift=0.99, scale=0.99, rotate_deg=180.0)
    edge = replace(edge, brightness=0.99, contrast=0.99, cutout_size=0.99, saturation=0.99, hue=0.5, zoom=1.0)
    edge = replace(edge, zoom_share=1e-9, erasing=1.0, erasing_boxes=8, erasing_area=(1e-9, 1.0), grid_dropout=1.0)
    edge = replace(edge, grid_unit=1.0, grid_ratio=0.999, randaugment=0 if ON_DEVICE else 3, randaugment_magnitude=10.0)
    assert {view.shape for view in views(noise(0, 8, 8), edge, 50)} == {(8, 8, 3)}


# --- RandAugment, drawn for the host alone


def test_randaugment_draws_so_many_operations_of_one_strength_both_ways() -> None:
    keys, epochs = np.arange(4000, dtype=np.uint64), np.zeros(4000, dtype=np.int64)
    draws = draw(replace(PLAIN, randaugment=3, randaugment_magnitude=4.0), seed=0, epoch_B=epochs, key_B=keys)
    assert draws.operation.shape == draws.level.shape == (4000, 3)
    for rank in range(3):
        counts = np.bincount(draws.operation[:, rank], minlength=12)
        assert len(counts) == len(OPERATIONS) == 12
        assert counts.min() > 245  # 333 less 5 standard deviations of 17.5
        assert counts.max() < 421
    np.testing.assert_allclose(np.unique(draws.level), [-0.4, 0.4], rtol=1e-6)
    assert 0.47 < (draws.level > 0).mean() < 0.53
    assert np.abs(np.corrcoef(np.hstack([draws.operation, draws.level]).T) - np.eye(6)).max() < 0.08
    fewer = draw(replace(PLAIN, randaugment=1), seed=0, epoch_B=epochs, key_B=keys)
    np.testing.assert_array_equal(fewer.operation, draws.operation[:, :1])
    np.testing.assert_allclose(np.abs(fewer.level), 0.5)


def test_randaugment_applies_what_was_drawn_one_after_the_other() -> None:
    spec = replace(PLAIN, size=(40, 30), randaugment=3, randaugment_magnitude=3.0)
    image, keys = face_like(40, 30), np.arange(60, dtype=np.uint64)
    draws = draw(spec, seed=0, epoch_B=np.zeros(60, dtype=np.int64), key_B=keys)
    out = augment(np.stack([image] * 60), draws, spec.fill)
    for view, operations, levels in zip(out, draws.operation, draws.level, strict=True):
        want = image
        for index, level in zip(operations, levels, strict=True):
            want = operate(want, OPERATIONS[index], float(level))
        np.testing.assert_array_equal(view, want)


def test_randaugment_comes_before_what_is_hidden_and_never_to_the_device() -> None:
    spec = replace(PLAIN, size=(40, 30), randaugment=2, randaugment_magnitude=9.0, cutout=1.0, mean=(0.5, 0.4, 0.3))
    keys, image = np.arange(60, dtype=np.uint64), face_like(40, 30)
    draws = draw(spec, seed=0, epoch_B=np.zeros(60, dtype=np.int64), key_B=keys)
    batch = np.stack([image] * 60)
    out = augment(batch, draws, spec.fill)
    for view, (top, left, bottom, right) in zip(out, draws.box, strict=True):
        assert (view[top:bottom, left:right] == (128, 102, 76)).all()
    changed = (out != augment(batch, replace(draws, operation=draws.operation * 0), spec.fill)).any(axis=(1, 2, 3))
    assert changed.sum() > 50  # two of twelve operations are the same one, identity, once in 144 times
    with pytest.raises(AssertionError, match="host only"):
        augment_on_device(torch.from_numpy(batch), draws, spec.fill)


# --- two places, one result


def face_like(height: int, width: int) -> np.ndarray:
    """Return an image with smooth parts and hard edges, uint8 (H, W, 3)."""
    rough = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    image = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    image[height // 2 :, width // 4 : width // 2] = (250, 5, 120)
    return image


@pytest.mark.parametrize("fill", ["mean", "noise"])
def test_host_and_device_agree_to_within_rounding(fill: str) -> None:
    image = face_like(64, 48)
    spec = replace(LATER, size=(64, 48), rotate_deg=30.0, zoom=0.5, erasing=0.5, grid_dropout=0.3, erasing_fill=fill)
    draws = draw(spec, seed=0, epoch_B=np.zeros(DRAWS, dtype=np.int64), key_B=np.arange(DRAWS, dtype=np.uint64))
    batch = np.ascontiguousarray(np.broadcast_to(image, (DRAWS, *image.shape)))
    host = augment(batch, draws, spec.fill).astype(np.float32)
    device = augment_on_device(torch.from_numpy(batch), draws, spec.fill).permute(0, 2, 3, 1).numpy()
    difference = np.abs(host - device)
    assert difference.mean() < 0.5
    assert np.quantile(difference, 0.999) < 8  # a 32nd of a pixel across an edge of 245 levels
    for happened in (draws.box[:, 2] > 0, draws.erased[:, 0, 2] > 0):
        assert 150 < happened.sum() < 250
    assert 75 < (draws.grid[:, 0] > 0).sum() < 165
    assert 150 < (draws.mix[:, 0, 0] != 1).sum() < 250


def test_mixed_channels_agree_to_a_level() -> None:
    """OpenCV rounds the matrix to 1024ths, so three channels of up to 255 are off by 0.4, and then the result."""
    spec = replace(PLAIN, colour=1.0, saturation=0.5, hue=0.2, contrast=0.3, brightness=0.1)
    draws = draw(spec, seed=0, epoch_B=np.zeros(DRAWS, dtype=np.int64), key_B=np.arange(DRAWS, dtype=np.uint64))
    batch = np.ascontiguousarray(np.broadcast_to(noise(0), (DRAWS, *noise(0).shape)))
    host = augment(batch, draws, spec.fill).astype(np.float32)
    device = augment_on_device(torch.from_numpy(batch), draws, spec.fill).permute(0, 2, 3, 1).numpy()
    assert np.abs(host - device).max() < 1


@pytest.mark.parametrize("fill", ["mean", "noise"])
def test_flips_and_boxes_are_exact_on_the_device(fill: str) -> None:
    spec = replace(PLAIN, hflip=0.5, cutout=0.5, erasing=0.5, erasing_fill=fill, erasing_boxes=2, grid_dropout=0.5)
    keys = np.arange(DRAWS, dtype=np.uint64)
    draws = draw(spec, seed=0, epoch_B=np.zeros(DRAWS, dtype=np.int64), key_B=keys)
    batch = np.ascontiguousarray(np.broadcast_to(noise(0), (DRAWS, *noise(0).shape)))
    host = augment(batch, draws, spec.fill)
    device = augment_on_device(torch.from_numpy(batch), draws, spec.fill).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(device, host, atol=0.01)


def test_the_number_of_threads_changes_nothing() -> None:
    spec = replace(LATER, size=noise(0).shape[:2], zoom=0.5, erasing=0.5, grid_dropout=0.5, randaugment=2)
    draws = draw(spec, seed=0, epoch_B=np.zeros(7, dtype=np.int64), key_B=np.arange(7, dtype=np.uint64))
    batch = np.stack([noise(i) for i in range(7)])
    np.testing.assert_array_equal(
        augment(batch, draws, spec.fill, threads=3), augment(batch, draws, spec.fill, threads=1)
    )
