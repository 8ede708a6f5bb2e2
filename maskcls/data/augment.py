"""The random part of the train view: drawn once as numbers, applied on the host or on the device.

What an image undergoes depends on (seed, epoch, image) alone. The numbers of a whole batch are drawn at once, and one
resampling does flip, shift, scale and rotation together, so an image is interpolated once. Order: geometry, colour,
cut-out box. B batch, H height, W width.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from maskcls.data.transforms import ViewSpec

Images = NDArray[np.uint8]
Keys = NDArray[np.uint64]

DRAWN = 12  # numbers an image


@dataclass(frozen=True)
class Draws:
    """What a batch undergoes.

    source  (B, 2, 3) float32: maps an output pixel's (x, y, 1) to the input pixel (x, y) it is taken from.
    flipped (B,) bool: mirrored left and right, and
    moved   (B,) bool: shifted, scaled and turned; `source` holds both.
    gain    (B,) float32, and
    offset  (B,) float32: a value v in 0..255 becomes v * gain + offset, cut to 0..255.
    box     (B, 4) int64: top, left, bottom, right of the pixels that are filled; all 0 for none.
    """

    source: NDArray[np.float32]
    flipped: NDArray[np.bool_]
    moved: NDArray[np.bool_]
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    box: NDArray[np.int64]


def draw(spec: ViewSpec, *, seed: int, epoch_B: NDArray[np.int64], key_B: Keys) -> Draws:
    """Draw what each image undergoes from (seed, epoch, key of the image); a negative epoch draws nothing.

    Shift, scale and rotation are uniform around none and happen together, brightness and contrast likewise; the box
    lies uniformly inside the image. Every number is drawn whether it is used or not, so that changing one probability
    changes nothing else.
    """
    u = uniforms(seed, epoch_B, key_B, DRAWN)
    height, width = spec.size
    flip, move, tint, hide = (
        (u[:, i] < p) & (epoch_B >= 0) for i, p in enumerate((spec.hflip, spec.geometry, spec.colour, spec.cutout))
    )
    shift_x, shift_y, zoom, turn, brightness, contrast = (2 * u[:, 4:10] - 1).T
    source = _source(
        flip,
        move * shift_x * spec.shift * width,
        move * shift_y * spec.shift * height,
        1 + move * zoom * spec.scale,
        move * turn * math.radians(spec.rotate_deg),
        height=height,
        width=width,
    )
    box_height, box_width = max(1, round(spec.cutout_size * height)), max(1, round(spec.cutout_size * width))
    top = (u[:, 10] * (height - box_height + 1)).astype(np.int64)
    left = (u[:, 11] * (width - box_width + 1)).astype(np.int64)
    box = np.stack([top, left, top + box_height, left + box_width], axis=1) * hide[:, None]
    gain, offset = 1 + tint * contrast * spec.contrast, tint * brightness * spec.brightness * 255
    return Draws(source, flip, move, gain.astype(np.float32), offset.astype(np.float32), box)


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


def augment(images_BHWC: Images, draws: Draws, fill: tuple[int, int, int], *, threads: int = 1) -> Images:
    """Apply the draws on the host: uint8 (B, H, W, 3), new and contiguous. Beyond the border the image is mirrored."""
    out = np.empty(images_BHWC.shape, dtype=np.uint8)
    height, width = images_BHWC.shape[1:3]
    tinted = ((draws.gain != 1) | (draws.offset != 0)).tolist()
    levels = np.arange(256, dtype=np.float32)
    tables = np.clip(np.rint(draws.gain[:, None] * levels + draws.offset[:, None]), 0, 255).astype(np.uint8)
    moved, flipped, boxes = draws.moved.tolist(), draws.flipped.tolist(), draws.box.tolist()

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
            if tinted[i]:
                cv2.LUT(out[i], tables[i], dst=out[i])
            top, left, bottom, right = boxes[i]
            if bottom:
                out[i, top:bottom, left:right] = fill

    if threads == 1:
        work(range(len(out)))
    else:
        list(_pool(threads).map(work, (range(start, len(out), threads) for start in range(threads))))
    return out


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="augment")


def augment_on_device(images_BHWC: Tensor, draws: Draws, fill: tuple[int, int, int]) -> Tensor:
    """Apply the draws to uint8 (B, H, W, 3) on the images' device, in one resampling; float32 (B, 3, H, W), 0..255.

    The same as `augment` but for rounding: OpenCV places a sample at a 32nd of a pixel and rounds to whole levels.
    """
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
    gain, offset = to_device(draws.gain, device).view(-1, 1, 1, 1), to_device(draws.offset, device).view(-1, 1, 1, 1)
    images = (images * gain + offset).clamp_(0, 255)
    top, left, bottom, right = to_device(draws.box.T, device)[:, :, None]
    hidden = ((y >= top) & (y < bottom))[:, :, None] & ((x >= left) & (x < right))[:, None, :]
    return torch.where(hidden[:, None], images.new_tensor(fill).view(1, 3, 1, 1), images)


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Copy an array to the device without waiting for the copy."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
