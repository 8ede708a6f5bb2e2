"""The random part of the train view: drawn once as numbers, applied on the host or on the device.

What an image undergoes depends on (seed, epoch, image) alone. The numbers of a whole batch are drawn at once, and one
resampling does crop, flip, shift, scale and rotation together, so an image is interpolated once. Order: geometry,
colour, RandAugment (on the host alone), hidden parts. B batch, E erased boxes, H height, W width, R operations.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, assert_never

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from maskcls.data.views.randaugment import GREY, OPERATIONS, operate
from maskcls.data.views.transforms import ViewSpec

Images = NDArray[np.uint8]
Keys = NDArray[np.uint64]

# Which of an image's numbers is for what. A new step takes further ones, so that no other step changes.
FLIP, MOVE, TINT, HIDE, SHIFT_X, SHIFT_Y, SCALE, TURN, BRIGHTNESS, CONTRAST, TOP, LEFT = range(12)
SATURATION, HUE, ZOOM, ZOOM_SIZE, ZOOM_X, ZOOM_Y = range(12, 18)
ERASE, ERASE_COUNT, ERASE_AREA, NOISE_Y, NOISE_X, GRID, GRID_Y, GRID_X = range(18, 26)
OPERATION = range(26, 29)  # of each round of RandAugment, and
SENSE = range(29, 32)  # whether its level is positive or negative
BOXES = 32  # and on: shape, row and column of each erased box

NARROWEST = 0.3  # width over height of an erased box, and the reverse


@dataclass(frozen=True)
class Draws:
    """What a batch undergoes.

    source  (B, 2, 3) float32: maps an output pixel's (x, y, 1) to the input pixel (x, y) it is taken from.
    flipped (B,) bool: mirrored left and right, and
    moved   (B,) bool: shifted, scaled, turned or cropped; `source` holds both.
    mix     (B, 3, 3) float32: what each channel takes from red, green and blue; then
    gain    (B,) float32, and
    offset  (B,) float32: a value v in 0..255 becomes v * gain + offset, cut to 0..255.
    operation (B, R) int64: RandAugment's operations in their order, as indices of OPERATIONS, and
    level   (B, R) float32: their levels.
    box     (B, 4) int64: top, left, bottom, right of the pixels that are filled; all 0 for none.
    erased  (B, E, 4) int64: further such boxes, and
    noise   (B, 2) int64: the row and column at which the noise that fills them begins; -1 for the mean colour.
    grid    (B, 4) int64: distance and side of filled squares, rows and columns they are moved up and left; 0 for none.
    """

    source: NDArray[np.float32]
    flipped: NDArray[np.bool_]
    moved: NDArray[np.bool_]
    mix: NDArray[np.float32]
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    operation: NDArray[np.int64]
    level: NDArray[np.float32]
    box: NDArray[np.int64]
    erased: NDArray[np.int64]
    noise: NDArray[np.int64]
    grid: NDArray[np.int64]


def draw(spec: ViewSpec, *, seed: int, epoch_B: NDArray[np.int64], key_B: Keys) -> Draws:
    """Draw what each image undergoes from (seed, epoch, key of the image); a negative epoch draws nothing.

    Shift, scale and rotation are uniform around none and happen together, and so do brightness, contrast, saturation
    and hue; boxes lie uniformly inside the image. Every number is drawn whether it is used or not, so that changing one
    probability changes nothing else.
    """
    u = uniforms(seed, epoch_B, key_B, BOXES + 3 * spec.erasing_boxes)
    real = epoch_B >= 0
    height, width = spec.size
    flip, move, tint, hide, zoom, erase, grid = (
        (u[:, column] < p) & real
        for column, p in (
            (FLIP, spec.hflip),
            (MOVE, spec.geometry),
            (TINT, spec.colour),
            (HIDE, spec.cutout),
            (ZOOM, spec.zoom),
            (ERASE, spec.erasing),
            (GRID, spec.grid_dropout),
        )
    )
    shift_x, shift_y, scale, turn, brightness, contrast = (2 * u[:, SHIFT_X : CONTRAST + 1] - 1).T
    source = _source(
        flip,
        move * shift_x * spec.shift * width,
        move * shift_y * spec.shift * height,
        1 + move * scale * spec.scale,
        move * turn * math.radians(spec.rotate_deg),
        height=height,
        width=width,
    )
    saturation, hue = (2 * u[:, SATURATION : HUE + 1] - 1).T
    gain, offset = 1 + tint * contrast * spec.contrast, tint * brightness * spec.brightness * 255
    rounds = spec.randaugment
    operation = (u[:, OPERATION][:, :rounds] * len(OPERATIONS)).astype(np.int64) * real[:, None]
    sense = np.where(u[:, SENSE][:, :rounds] < 0.5, -1, 1)
    return Draws(
        source=np.where(zoom[:, None, None], _cropped(source, u, spec), source),
        flipped=flip,
        moved=move | zoom,
        mix=_mix(1 + tint * saturation * spec.saturation, tint * hue * 2 * math.pi * spec.hue),
        gain=gain.astype(np.float32),
        offset=offset.astype(np.float32),
        operation=operation,
        level=(sense * spec.randaugment_magnitude / 10).astype(np.float32),
        box=_cutout(u, spec) * hide[:, None],
        erased=_erased(u, spec) * erase[:, None, None],
        noise=_noise_places(u, spec),
        grid=_grid(u, spec) * grid[:, None],
    )


def uniforms(seed: int, epoch_B: NDArray[np.int64], key_B: Keys, count: int) -> NDArray[np.float64]:
    """Return (B, count) numbers in [0, 1), a pure function of (seed, epoch, key): SplitMix64 (Steele, Lea and Flood
    2014, "Fast splittable pseudorandom number generators"), whose state hops by a constant and is then scrambled.

    A numpy generator an image would cost as much as the resampling of the image.
    """
    root = np.full(len(key_B), seed, dtype=np.uint64)
    state = _scramble(_scramble(root + HOP) ^ epoch_B.astype(np.uint64))
    state = _scramble(state ^ key_B)
    hops = np.arange(1, count + 1, dtype=np.uint64) * HOP
    return (_scramble(state[:, None] + hops) >> np.uint64(11)).astype(np.float64) * 2.0**-53


HOP = np.array([0x9E3779B97F4A7C15], dtype=np.uint64)  # an array: numpy lets arrays wrap around, and warns of scalars


def _scramble(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _source(
    flip: NDArray[np.bool_],
    right: NDArray[np.float64],
    down: NDArray[np.float64],
    zoom: NDArray[np.float64],
    turn: NDArray[np.float64],
    *,
    height: int,
    width: int,
) -> NDArray[np.float32]:
    """Return the map (B, 2, 3) from output to input pixels of: flip, then zoom and turn about the middle, then shift.

    right, down  shift of the content in pixels; zoom: > 1 enlarges; turn: radians, clockwise as y points down.
    """
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    cos, sin = np.cos(turn) / zoom, np.sin(turn) / zoom
    x0, y0 = -(middle_x + right), -(middle_y + down)
    to_x = np.stack([cos, sin, cos * x0 + sin * y0 + middle_x], axis=1)
    to_y = np.stack([-sin, cos, -sin * x0 + cos * y0 + middle_y], axis=1)
    mirrored = np.stack([-to_x[:, 0], -to_x[:, 1], width - 1 - to_x[:, 2]], axis=1)
    to_x = np.where(flip[:, None], mirrored, to_x)
    return np.stack([to_x, to_y], axis=1).astype(np.float32)


def _cropped(source: NDArray[np.float32], u: NDArray[np.float64], spec: ViewSpec) -> NDArray[np.float32]:
    """Return the map (B, 2, 3) of: a random crop that is enlarged to the whole image, then `source`."""
    sides = np.array([spec.size[1], spec.size[0]])
    share = (1 - u[:, ZOOM_SIZE] * (1 - spec.zoom_share))[:, None]
    first = u[:, ZOOM_X : ZOOM_Y + 1] * (1 - share) * sides
    cropped = source * share[:, :, None]
    cropped[:, :, 2] += first + (share - 1) / 2  # pixels are counted from the middle of the first
    return cropped.astype(np.float32)


# The colour circle as the plane of video signals (U = B - Y, V = R - Y, both scaled), on which a grey Y is the middle.
_YUV = np.stack([GREY, 0.492 * (np.eye(3)[2] - GREY), 0.877 * (np.eye(3)[0] - GREY)])
_QUARTER = np.linalg.inv(_YUV) @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ _YUV  # a quarter turn of the colours


def _mix(saturation: NDArray[np.float64], hue: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the matrices (B, 3, 3) that multiply the colours' distance from grey, and turn them about it.

    saturation  (B,), 1 for none; hue: (B,) radians, from red by green to blue.
    """
    grey = np.tile(GREY, (3, 1))
    cos, sin = saturation * np.cos(hue), saturation * np.sin(hue)
    mix = grey + cos[:, None, None] * (np.eye(3) - grey) + sin[:, None, None] * _QUARTER
    return np.where(((cos == 1) & (sin == 0))[:, None, None], np.eye(3), mix).astype(np.float32)


def _mixed(draws: Draws) -> NDArray[np.bool_]:
    """Return which images' channels are mixed at all (B,)."""
    return np.asarray((draws.mix.reshape(-1, 9) != np.eye(3, dtype=np.float32).ravel()).any(axis=1))


def _cutout(u: NDArray[np.float64], spec: ViewSpec) -> NDArray[np.int64]:
    height, width = spec.size
    box_height, box_width = max(1, round(spec.cutout_size * height)), max(1, round(spec.cutout_size * width))
    top = (u[:, TOP] * (height - box_height + 1)).astype(np.int64)
    left = (u[:, LEFT] * (width - box_width + 1)).astype(np.int64)
    return np.stack([top, left, top + box_height, left + box_width], axis=1)


def _erased(u: NDArray[np.float64], spec: ViewSpec) -> NDArray[np.int64]:
    """Return 1 to E boxes (B, E, 4) of random shape and place, which share the area drawn for the image."""
    sides = np.array(spec.size)
    least, most = spec.erasing_area
    count = 1 + (u[:, ERASE_COUNT] * spec.erasing_boxes).astype(np.int64)
    area = (least + u[:, ERASE_AREA] * (most - least)) * sides.prod() / count
    shape, row, column = np.moveaxis(u[:, BOXES:].reshape(len(u), spec.erasing_boxes, 3), 2, 0)
    stretch = NARROWEST ** (shape - 0.5)  # the root of a ratio that is uniform in its logarithm
    extent = np.sqrt(area)[:, None, None] * np.stack([stretch, 1 / stretch], axis=2)
    extent = np.clip(np.rint(extent), 1, sides).astype(np.int64)
    first = (np.stack([row, column], axis=2) * (sides - extent + 1)).astype(np.int64)
    there = np.arange(spec.erasing_boxes) < count[:, None]
    return np.concatenate([first, first + extent], axis=2) * there[:, :, None]


def _noise_places(u: NDArray[np.float64], spec: ViewSpec) -> NDArray[np.int64]:
    match spec.erasing_fill:
        case "mean":
            return np.full((len(u), 2), -1)
        case "noise":
            places: NDArray[np.int64] = (u[:, NOISE_Y : NOISE_X + 1] * (np.array(spec.size) + 1)).astype(np.int64)
            return places
        case _:
            assert_never(spec.erasing_fill)


@cache
def _noise(height: int, width: int) -> Images:
    """Return noise (2H, 2W, 3), from which every image takes another window."""
    return np.random.default_rng(0).integers(0, 256, (2 * height, 2 * width, 3), dtype=np.uint8)


def _grid(u: NDArray[np.float64], spec: ViewSpec) -> NDArray[np.int64]:
    unit = max(2, round(spec.grid_unit * min(spec.size)))
    side = min(max(1, round(spec.grid_ratio * unit)), unit - 1)
    moved = (u[:, GRID_Y : GRID_X + 1] * unit).astype(np.int64)
    return np.concatenate([np.broadcast_to([unit, side], (len(u), 2)), moved], axis=1)


def augment(images_BHWC: Images, draws: Draws, fill: tuple[int, int, int], *, threads: int = 1) -> Images:
    """Apply the draws on the host: uint8 (B, H, W, 3), new and contiguous. Beyond the border the image is mirrored."""
    out = np.empty(images_BHWC.shape, dtype=np.uint8)
    height, width = images_BHWC.shape[1:3]
    tinted = ((draws.gain != 1) | (draws.offset != 0)).tolist()
    mixed = _mixed(draws).tolist()
    values = np.arange(256, dtype=np.float32)
    tables = np.clip(np.rint(draws.gain[:, None] * values + draws.offset[:, None]), 0, 255).astype(np.uint8)
    moved, flipped = draws.moved.tolist(), draws.flipped.tolist()
    operations, levels = draws.operation.tolist(), draws.level.tolist()
    boxes, erased, grids = draws.box.tolist(), draws.erased[:, 0, 2].tolist(), draws.grid.tolist()
    plain = np.full((height, width, 3), fill, dtype=np.uint8)

    def work(rows: range) -> None:
        for i in rows:
            image = images_BHWC[i]
            if moved[i]:
                cv2.warpAffine(
                    image,
                    draws.source[i],
                    (width, height),
                    dst=out[i],
                    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                    borderMode=cv2.BORDER_REFLECT_101,
                )
            elif flipped[i]:
                cv2.flip(image, 1, dst=out[i])
            else:
                out[i] = image
            if mixed[i]:
                matrix = np.column_stack([draws.gain[i] * draws.mix[i], np.repeat(draws.offset[i], 3)])
                out[i] = cv2.transform(out[i], matrix)
            elif tinted[i]:
                cv2.LUT(out[i], tables[i], dst=out[i])
            for index, level in zip(operations[i], levels[i], strict=True):
                if index:
                    out[i] = operate(out[i], OPERATIONS[index], level)
            top, left, bottom, right = boxes[i]
            if bottom:
                out[i, top:bottom, left:right] = fill
            if erased[i]:
                _erase(out[i], draws.erased[i].tolist(), draws.noise[i].tolist(), fill)
            if grids[i][0]:
                cv2.copyTo(plain, _grid_mask(grids[i], height, width), dst=out[i])

    if threads == 1:
        work(range(len(out)))
    else:
        list(_pool(threads).map(work, (range(start, len(out), threads) for start in range(threads))))
    return out


def _erase(image_HWC: Images, boxes: list[list[int]], noise: list[int], fill: tuple[int, int, int]) -> None:
    """Fill the boxes of one image in place."""
    row, column = noise
    texture = _noise(*image_HWC.shape[:2])
    for top, left, bottom, right in boxes:
        window = texture[row + top : row + bottom, column + left : column + right]
        image_HWC[top:bottom, left:right] = fill if row < 0 else window


def _grid_mask(grid: list[int], height: int, width: int) -> Images:
    """Return 255 (H, W) on the squares of a grid, 0 beside them."""
    unit, side, up, left = grid
    rows, columns = (np.arange(height) + up) % unit < side, (np.arange(width) + left) % unit < side
    return np.outer(rows, columns).astype(np.uint8) * 255


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="augment")


def augment_on_device(images_BHWC: Tensor, draws: Draws, fill: tuple[int, int, int]) -> Tensor:
    """Apply the draws to uint8 (B, H, W, 3) on the images' device, in one resampling; float32 (B, 3, H, W), 0..255.

    The same as `augment` but for rounding: OpenCV places a sample at a 32nd of a pixel, mixes channels by 1024ths and
    rounds to whole levels. The draws hold no operations of RandAugment.
    """
    assert not draws.operation.size, "RandAugment runs on the host alone"
    device = images_BHWC.device
    height, width = images_BHWC.shape[1:3]
    images = images_BHWC.permute(0, 3, 1, 2).float()
    # grid_sample counts from -1 to 1 between the middles of the outer pixels, and mirrors about them.
    scale = np.array([[2 / max(1, width - 1)], [2 / max(1, height - 1)]])
    source = (draws.source * scale).astype(np.float32)
    source[:, :, 2] -= 1
    x = torch.arange(width, device=device, dtype=torch.float32)
    y = torch.arange(height, device=device, dtype=torch.float32)
    pixels_HW3 = torch.stack([x.expand(height, width), y[:, None].expand(height, width), x.new_ones(height, width)], 2)
    grid = torch.einsum("hwk,bdk->bhwd", pixels_HW3, to_device(source, device))
    images = functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=True)
    if _mixed(draws).any():
        mix = to_device(draws.mix, device)[:, :, :, None, None]
        images = mix[:, :, 0] * images[:, :1] + mix[:, :, 1] * images[:, 1:2] + mix[:, :, 2] * images[:, 2:]
    gain, offset = to_device(draws.gain, device).view(-1, 1, 1, 1), to_device(draws.offset, device).view(-1, 1, 1, 1)
    images = (images * gain + offset).clamp_(0, 255)
    filling = images.new_tensor(fill).view(1, 3, 1, 1)
    images = torch.where(_inside(draws.box[:, None], y, x), filling, images)
    if draws.erased.any():
        images = torch.where(_inside(draws.erased, y, x), _erased_fill(draws.noise, filling, height, width), images)
    if draws.grid.any():
        unit, side, up, left = to_device(draws.grid.T, device)[:, :, None]
        rows, columns = (y + up) % unit.clamp(min=1) < side, (x + left) % unit.clamp(min=1) < side
        images = torch.where((rows[:, :, None] & columns[:, None, :])[:, None], filling, images)
    return images


def _inside(boxes_BE4: NDArray[np.int64], y: Tensor, x: Tensor) -> Tensor:
    """Return which pixels lie in any of an image's boxes, bool (B, 1, H, W)."""
    top, left, bottom, right = to_device(np.moveaxis(boxes_BE4, 2, 0), y.device)[:, :, :, None]
    rows, columns = (y >= top) & (y < bottom), (x >= left) & (x < right)
    inside: Tensor = (rows[:, :, :, None] & columns[:, :, None, :]).any(dim=1, keepdim=True)
    return inside


def _erased_fill(noise_B2: NDArray[np.int64], filling: Tensor, height: int, width: int) -> Tensor:
    """Return what erased pixels are filled with, (B, 3, H, W) or a shape that stretches to it."""
    if (noise_B2 < 0).any():
        return filling
    device = filling.device
    row, column = to_device(noise_B2.T, device)[:, :, None]
    rows, columns = row + torch.arange(height, device=device), column + torch.arange(width, device=device)
    windows = to_device(_noise(height, width), device)[rows[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2).float()


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Copy an array to the device without waiting for the copy."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
