"""The views of an image: hand-checked crops and resizes, the changes of pixels, the spec itself."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from photos import LIVELY, PLAIN, noise
from PIL import Image, ImageEnhance, ImageOps
from pydantic import TypeAdapter

from maskcls.config import load, to_yaml
from maskcls.data.views.randaugment import OPERATIONS, operate
from maskcls.data.views.transforms import ViewSpec, build_pixel_changes, change_pixels, eval_view
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import normalise
from maskcls.errors import ConfigError
from maskcls.schema import PRESETS, TransformsConfig
from maskcls.training.experiment import view_spec


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


@pytest.mark.parametrize(
    ("crop", "centre", "rows", "columns"),
    [
        ((0.5, 0.5), (0.25, 0.75), slice(0, 8), slice(6, 12)),  # as far as it goes, not beyond
        ((0.25, 0.5), (0.25, 0.5), slice(2, 6), slice(3, 9)),
        ((0.25, 0.5), (0.5, 0.25), slice(6, 10), slice(0, 6)),
        ((0.3, 0.42), (0.4, 0.6), slice(3, 8), slice(4, 9)),  # 6.4 - 2.5 and 7.2 - 2.5, rounded down
        ((0.5, 0.5), (0.0, 1.0), slice(0, 8), slice(6, 12)),
        ((0.5, 0.5), (1.0, 0.0), slice(8, 16), slice(0, 6)),
        ((1.0, 1.0), (0.0, 1.0), slice(0, 16), slice(0, 12)),
    ],
)
def test_a_crop_about_another_centre_is_shifted_inside_the_image(
    crop: tuple[float, float], centre: tuple[float, float], rows: slice, columns: slice
) -> None:
    image = numbered(16, 12)
    size = (rows.stop - rows.start, columns.stop - columns.start)
    got = eval_view(image, replace(PLAIN, crop=crop, crop_centre=centre, size=size))
    np.testing.assert_array_equal(got, image[rows, columns])


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


# --- RandAugment's operations


def soft_photo() -> np.ndarray:
    """Return smooth colours between 40 and 210, uint8 (48, 36, 3)."""
    rough = np.random.default_rng(1).integers(40, 211, (6, 5, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (36, 48), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


@pytest.mark.parametrize("level", [-0.8, -0.3, 0.5, 1.0])
@pytest.mark.parametrize(
    ("operation", "pillow"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
def test_enhancements_are_those_of_pillow(operation: str, pillow: type, level: float) -> None:
    image = soft_photo()
    image[20:28, 12:24] = (60, 150, 90)  # an edge to be made sharper
    want = np.asarray(pillow(Image.fromarray(image)).enhance(1 + 0.9 * level)).astype(int)
    got = operate(image, next(name for name in OPERATIONS if name == operation), level).astype(int)
    # Pillow cuts where we round, rounds a grey or a soft pixel that counts up to 0.9, and leaves the border as it is.
    assert np.abs(got - want)[1:-1, 1:-1].max() <= 2
    assert np.abs(got - image).max() > 2


def test_autocontrast_is_pillow_s_that_keeps_the_tone() -> None:
    image = soft_photo()
    want = np.asarray(ImageOps.autocontrast(Image.fromarray(image), preserve_tone=True)).astype(int)
    got = operate(image, "autocontrast", 0.5)
    assert np.abs(got.astype(int) - want).max() <= 3  # the grey value's ends may differ by one, which is stretched
    grey = cv2.cvtColor(got, cv2.COLOR_RGB2GRAY)
    assert grey.min() < 20  # a channel that is cut at 0 or 255 moves the grey value
    assert grey.max() > 235
    flat = np.full((4, 4, 3), 7, dtype=np.uint8)
    np.testing.assert_array_equal(operate(flat, "autocontrast", 0.5), flat)


def test_equalize_spreads_brightness_and_leaves_greys_grey() -> None:
    """Sorted, the brightness of n pixels lies on a line from 0 to 255."""
    grey = np.repeat((np.arange(256, dtype=np.float64) ** 2 / 700 + 20).astype(np.uint8).reshape(16, 16, 1), 3, axis=2)
    got = operate(grey, "equalize", -1.0)
    assert (got == got[:, :, :1]).all()
    first = np.unique(grey[:, :, 0], return_index=True)[1]
    last = np.append(first[1:], 256) - 1  # the share of pixels up to each value decides where it goes
    line = (last - last[0]) * 255 / (255 - last[0])
    np.testing.assert_allclose(got.reshape(-1, 3)[first, 0], line, atol=1.5)
    coloured = operate(soft_photo(), "equalize", 0.0)
    before, after = (cv2.cvtColor(i, cv2.COLOR_RGB2YCrCb)[:, :, 1:].astype(int) for i in (soft_photo(), coloured))
    assert np.median(np.abs(before - after)) <= 1
    assert np.abs(coloured.astype(int) - soft_photo()).mean() > 10


def moved_to(operation: str, level: float, row: int, column: int) -> tuple[float, float]:
    """Return where a dot of five pixels at (row, column) of 81 x 61 black ones is after an operation."""
    image = np.zeros((81, 61, 3), dtype=np.uint8)
    image[row - 2 : row + 3, column - 2 : column + 3] = 255
    after = operate(image, next(name for name in OPERATIONS if name == operation), level)[:, :, 0].astype(float)
    ys, xs = np.indices(after.shape)
    return float((ys * after).sum() / after.sum()), float((xs * after).sum() / after.sum())


@pytest.mark.parametrize(
    ("operation", "level", "row", "column"),
    [
        # The dot begins at (30, 40): ten pixels above the middle (40, 30) and ten to its right.
        ("identity", 1.0, 30, 40),
        ("rotate", 1.0, 40 - 10 * 0.8660 + 10 * 0.5, 30 + 10 * 0.8660 + 10 * 0.5),  # clockwise by 30 degrees
        ("rotate", -0.5, 40 - 10 * 0.9659 - 10 * 0.2588, 30 + 10 * 0.9659 - 10 * 0.2588),  # back by 15
        ("shear_x", 1.0, 30, 40 - 10 * 0.3),
        ("shear_y", -0.5, 30 - 10 * 0.15, 40),
        ("translate_x", 0.5, 30, 40 + 61 * 0.225),
        ("translate_y", -0.5, 30 - 81 * 0.225, 40),
    ],
)
def test_movements_by_hand(operation: str, level: float, row: float, column: float) -> None:
    assert moved_to(operation, level, 30, 40) == pytest.approx((row, column), abs=0.15)


def test_every_operation_is_tested_and_none_inverts_colours() -> None:
    affine = {"identity", "rotate", "shear_x", "shear_y", "translate_x", "translate_y"}
    enhancing = {"brightness", "contrast", "saturation", "sharpness"}
    assert set(OPERATIONS) == affine | enhancing | {"autocontrast", "equalize"}
    assert len(OPERATIONS) == 12
    image = soft_photo()
    for name in OPERATIONS:
        for level in (-1.0, -0.4, 0.0, 1.0):
            got = operate(image, name, level)
            assert (got.shape, got.dtype) == (image.shape, np.uint8)
        np.testing.assert_array_equal(image, soft_photo())
        if name not in affine:  # what is brighter stays brighter
            assert np.corrcoef(operate(image, name, 0.4).ravel(), image.ravel())[0, 1] > 0.8


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


LATER = replace(
    LIVELY,
    crop_centre=(0.4, 0.5),
    saturation=0.2,
    hue=0.02,
    zoom=0.5,
    zoom_share=0.8,
    erasing=0.5,
    erasing_boxes=3,
    erasing_area=(0.1, 0.3),
    erasing_fill="noise",
    grid_dropout=0.5,
    grid_unit=0.3,
    grid_ratio=0.4,
    randaugment=2,
    randaugment_magnitude=7.0,
)


@pytest.mark.parametrize("crop", [(1.0, 1.0), (0.5, 0.25)])
def test_a_spec_survives_json(crop: tuple[float, float]) -> None:
    spec = replace(LATER, crop=crop)
    back = TypeAdapter(ViewSpec).validate_json(json.dumps(asdict(spec)), strict=True)
    assert back == spec
    assert hash(back) == hash(spec)
    assert type(back.crop) is type(back.erasing_area) is type(crop)


def test_a_spec_of_an_earlier_version_is_read_and_means_what_it_meant() -> None:
    saved = """{"crop": [0.9, 0.9], "size": [24, 18], "hflip": 0.5, "geometry": 0.7, "shift": 0.05, "scale": 0.1,
        "rotate_deg": 10.0, "colour": 0.5, "brightness": 0.2, "contrast": 0.2, "cutout": 0.25, "cutout_size": 0.3,
        "gray": 0.0, "clahe": 0.0, "sharpen": 0.0, "blur": 0.0, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}"""
    spec = TypeAdapter(ViewSpec).validate_json(saved, strict=True)
    assert (spec.crop, spec.size, spec.geometry, spec.cutout) == ((0.9, 0.9), (24, 18), 0.7, 0.25)
    assert (spec.crop_centre, spec.saturation, spec.hue, spec.zoom) == ((0.5, 0.5), 0, 0, 0)
    assert (spec.erasing, spec.grid_dropout, spec.randaugment) == (0, 0, 0)
    assert len(json.loads(saved)) + 14 == len(fields(ViewSpec))


@pytest.mark.parametrize("option", [*CHANGES, "randaugment"])
def test_what_only_the_host_can_do_is_known(option: str) -> None:
    assert not replace(LATER, randaugment=0).host_alone
    assert asdict(replace(PLAIN, **{option: 1}))[option] == 1
    assert replace(PLAIN, **{option: 1}).host_alone


def test_every_field_has_a_test_above() -> None:
    """A new field fails here, to be given its test, above or in test_augment.py."""
    tested = {"crop", "size", "hflip", "geometry", "shift", "scale", "rotate_deg", "colour", "brightness", "contrast"}
    tested |= {"crop_centre", "saturation", "hue", "zoom", "zoom_share", "randaugment", "randaugment_magnitude"}
    tested |= {"erasing", "erasing_boxes", "erasing_area", "erasing_fill", "grid_dropout", "grid_unit", "grid_ratio"}
    assert {field.name for field in fields(ViewSpec)} == tested | {"cutout", "cutout_size", "mean", "std", *CHANGES}


# --- presets of the configuration

SWITCHES = {"hflip", "geometry", "zoom", "colour", "randaugment", "cutout", "erasing", "grid_dropout", *CHANGES}


def transforms(*overrides: str, path: Path | None = None) -> TransformsConfig:
    return load(path, overrides)[0].transforms


@pytest.mark.parametrize("name", ["none", "light", "medium", "strong", "faces"])
def test_a_preset_sets_every_switch_and_is_written_out(name: str, tmp_path: Path) -> None:
    assert list(PRESETS) == ["none", "light", "medium", "strong", "faces"]
    assert PRESETS[name].keys() >= SWITCHES
    cfg = load(None, [f"transforms.preset={name}"])[0]
    assert cfg.transforms.model_dump(mode="json") == TransformsConfig().model_dump(mode="json") | PRESETS[name]
    path = tmp_path / "resolved.yaml"
    path.write_text(to_yaml(cfg), encoding="utf-8")
    assert "preset" not in path.read_text()
    assert load(path)[0] == cfg
    ViewSpec(**cfg.transforms.model_dump())


def test_presets_are_what_they_are_called() -> None:
    none, light, faces = (transforms(f"transforms.preset={name}") for name in ("none", "light", "faces"))
    assert not any(getattr(none, switch) for switch in SWITCHES)
    assert light == transforms("transforms.preset=null") == transforms()
    assert faces.saturation == faces.hue == faces.randaugment == 0
    assert faces.hflip
    assert faces.cutout
    assert faces.erasing
    strength = [
        sum(getattr(transforms(f"transforms.preset={name}"), switch) for switch in SWITCHES)
        for name in ("none", "light", "medium", "strong")
    ]
    assert strength == sorted(strength)
    assert len(set(strength)) == 4


def test_settings_given_beside_a_preset_win_over_it(tmp_path: Path) -> None:
    path = tmp_path / "exp.yaml"
    path.write_text("transforms: {preset: faces, cutout: 0.125, crop: [0.9, 0.8]}")
    got = transforms("transforms.erasing=0.75", path=path)
    assert (got.cutout, got.erasing, got.crop) == (0.125, 0.75, (0.9, 0.8))
    assert got.brightness == PRESETS["faces"]["brightness"] != TransformsConfig().brightness
    path.write_text("transforms: {hflip: 0.125}")
    assert transforms("transforms.preset=none", path=path).hflip == 0  # what comes later stands above the file
    assert transforms("transforms.preset=faces", "transforms.preset=null") == TransformsConfig()


@pytest.mark.parametrize(("value", "near"), [("face", "faces"), ("heavy", None), ("3", None), ("[faces]", "faces")])
def test_an_unknown_preset_is_answered_with_the_known_ones(value: str, near: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, [f"transforms.preset={value}"])
    assert caught.value.where == "command line: transforms.preset"
    assert caught.value.expected == "one of none, light, medium, strong, faces or null"
    assert caught.value.fix == (f"did you mean {near!r}?" if near else None)


def test_a_preset_that_would_change_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "resolved.yaml"
    whole = to_yaml(load(None)[0])
    path.write_text(whole, encoding="utf-8")
    assert load(path, ["transforms.preset=strong"])[0].transforms.erasing == 0.5
    path.write_text(whole.replace("\ntransforms:\n", "\ntransforms:\n  preset: strong\n"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.expected == "fewer settings beside preset=strong, as it sets only what is not given"


def test_the_network_s_view_is_the_configuration_s() -> None:
    cfg = load(None, ["transforms.preset=strong", "transforms.crop_centre=[0.4, 0.5]"])[0]
    spec = view_spec(cfg)
    assert (spec.crop_centre, spec.erasing_area, spec.randaugment) == ((0.4, 0.5), (0.05, 0.3), 1)
