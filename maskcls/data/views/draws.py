"""The random numbers of the train view: geometry, colour, RandAugment operations and filled parts of each image.

They depend only on (seed, epoch, image key), and are drawn for a whole batch together; `augment` applies them.
B batch, E erased boxes, H height, W width, R operations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from maskcls.data.views.keyed_random import Keys, uniforms
from maskcls.data.views.randaugment import GREY, OPERATIONS
from maskcls.data.views.transforms import ViewSpec

# The index of each random number of an image. A new step uses new indices, so that no other step changes.
FLIP, MOVE, TINT, HIDE, SHIFT_X, SHIFT_Y, SCALE, TURN, BRIGHTNESS, CONTRAST, TOP, LEFT = range(12)
SATURATION, HUE, ZOOM, ZOOM_SIZE, ZOOM_X, ZOOM_Y = range(12, 18)
ERASE, ERASE_COUNT, ERASE_AREA, NOISE_Y, NOISE_X, GRID, GRID_Y, GRID_X = range(18, 26)
OPERATION = range(26, 29)  # the operation of each RandAugment round
SENSE = range(29, 32)  # the sign of its level
BOXES = 32  # from here on: shape, row and column of each erased box


NARROWEST = 0.3  # smallest ratio of the shorter to the longer side of an erased box


@dataclass(frozen=True)
class Draws:
    """The random numbers of a batch.

    source    (B, 2, 3) float32: maps an output pixel (x, y, 1) to its input position (x, y), in pixels.
    flipped   (B,) bool: flipped left-right.
    moved     (B,) bool: shifted, scaled, rotated or cropped; `source` includes both.
    mix       (B, 3, 3) float32: weights of red, green and blue in each output channel; applied before gain and offset.
    gain      (B,) float32.
    offset    (B,) float32: a value v in 0..255 becomes v * gain + offset, clipped to 0..255.
    operation (B, R) int64: RandAugment's operations in order, as indices of OPERATIONS.
    level     (B, R) float32: their levels in [-1, 1].
    box       (B, 4) int64: top, left, bottom, right of the filled box (cutout); all 0 for none.
    erased    (B, E, 4) int64: the boxes of random erasing, in the same form.
    noise     (B, 2) int64: row and column of the noise window that fills erased boxes; -1 for the mean colour.
    grid      (B, 4) int64: distance and side of filled squares, and their shift up and left in pixels; 0 for none.
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
    """Draw the augmentation of each image from (seed, epoch, image key); a negative epoch means no augmentation.

    Shift, scale and rotation are uniform, centred at no change, and applied together; so are brightness, contrast,
    saturation and hue. Boxes are uniform inside the image. Every number is drawn even if it is not used, so that
    changing one probability changes nothing else.
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
    """Return the map (B, 2, 3) from output to input pixels: flip, then scale and rotate about the centre, then shift.

    right, down  shift of the content in pixels.
    zoom         scale factor; above 1 enlarges.
    turn         rotation in radians, clockwise (y points down).
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
    """Return the map (B, 2, 3) of a random crop, enlarged to the whole image, followed by `source`."""
    sides = np.array([spec.size[1], spec.size[0]])
    share = (1 - u[:, ZOOM_SIZE] * (1 - spec.zoom_share))[:, None]
    first = u[:, ZOOM_X : ZOOM_Y + 1] * (1 - share) * sides
    cropped = source * share[:, :, None]
    cropped[:, :, 2] += first + (share - 1) / 2  # coordinate 0 is the centre of the first pixel
    return cropped.astype(np.float32)


# The YUV colour space of analogue video: luma Y, and U = B - Y, V = R - Y, both scaled; grey has U = V = 0.
_YUV = np.stack([GREY, 0.492 * (np.eye(3)[2] - GREY), 0.877 * (np.eye(3)[0] - GREY)])


_QUARTER = np.linalg.inv(_YUV) @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ _YUV  # hue rotated by 90 degrees


def _mix(saturation: NDArray[np.float64], hue: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return matrices (B, 3, 3) that scale the saturation of RGB colours and rotate their hue.

    saturation  (B,) factor, 1 for no change.
    hue         (B,) rotation in radians, from red over green to blue.
    """
    grey = np.tile(GREY, (3, 1))
    cos, sin = saturation * np.cos(hue), saturation * np.sin(hue)
    mix = grey + cos[:, None, None] * (np.eye(3) - grey) + sin[:, None, None] * _QUARTER
    return np.where(((cos == 1) & (sin == 0))[:, None, None], np.eye(3), mix).astype(np.float32)


def _cutout(u: NDArray[np.float64], spec: ViewSpec) -> NDArray[np.int64]:
    height, width = spec.size
    box_height, box_width = max(1, round(spec.cutout_size * height)), max(1, round(spec.cutout_size * width))
    top = (u[:, TOP] * (height - box_height + 1)).astype(np.int64)
    left = (u[:, LEFT] * (width - box_width + 1)).astype(np.int64)
    return np.stack([top, left, top + box_height, left + box_width], axis=1)


def _erased(u: NDArray[np.float64], spec: ViewSpec) -> NDArray[np.int64]:
    """Return 1 to E boxes (B, E, 4) of random shape and position; the area drawn for the image is divided equally."""
    sides = np.array(spec.size)
    least, most = spec.erasing_area
    count = 1 + (u[:, ERASE_COUNT] * spec.erasing_boxes).astype(np.int64)
    area = (least + u[:, ERASE_AREA] * (most - least)) * sides.prod() / count
    shape, row, column = np.moveaxis(u[:, BOXES:].reshape(len(u), spec.erasing_boxes, 3), 2, 0)
    stretch = NARROWEST ** (shape - 0.5)  # square root of the aspect ratio, whose logarithm is uniform
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


def _grid(u: NDArray[np.float64], spec: ViewSpec) -> NDArray[np.int64]:
    unit = max(2, round(spec.grid_unit * min(spec.size)))
    side = min(max(1, round(spec.grid_ratio * unit)), unit - 1)
    moved = (u[:, GRID_Y : GRID_X + 1] * unit).astype(np.int64)
    return np.concatenate([np.broadcast_to([unit, side], (len(u), 2)), moved], axis=1)
