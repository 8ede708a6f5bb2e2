"""Augmentation of the train view, on the host or on the device.

Crop, flip, shift, scale and rotation are one resampling, so that an image is interpolated once. Order: geometry,
colour, RandAugment (on the host only), filled boxes and grids. B batch, E erased boxes, H height, W width.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from maskcls.data.views.draws import Draws
from maskcls.data.views.randaugment import OPERATIONS, operate

Images = NDArray[np.uint8]


def _mixed(draws: Draws) -> NDArray[np.bool_]:
    """Return which images' colour channels are mixed, (B,) bool."""
    return np.asarray((draws.mix.reshape(-1, 9) != np.eye(3, dtype=np.float32).ravel()).any(axis=1))


@cache
def _noise(height: int, width: int) -> Images:
    """Return fixed noise (2H, 2W, 3) uint8, from which every image uses a random window."""
    return np.random.default_rng(0).integers(0, 256, (2 * height, 2 * width, 3), dtype=np.uint8)


def augment(images_BHWC: Images, draws: Draws, fill: tuple[int, int, int], *, threads: int = 1) -> Images:
    """Apply the draws on the host; returns uint8 (B, H, W, 3), new and contiguous. Borders are mirrored.

    fill  RGB 0..255 of filled boxes and grids.
    """
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
    """Return (H, W) uint8: 255 on the squares of a grid, 0 elsewhere."""
    unit, side, up, left = grid
    rows, columns = (np.arange(height) + up) % unit < side, (np.arange(width) + left) % unit < side
    return np.outer(rows, columns).astype(np.uint8) * 255


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="augment")


def augment_on_device(images_BHWC: Tensor, draws: Draws, fill: tuple[int, int, int]) -> Tensor:
    """Apply the draws to uint8 (B, H, W, 3) on the images' device; returns float32 (B, 3, H, W) in 0..255.

    The same as `augment` except for rounding: OpenCV rounds sample positions to 1/32 pixel, channel weights to 1/1024
    and results to integers. The draws must not contain RandAugment operations.
    """
    assert not draws.operation.size, "RandAugment runs on the host only"
    device = images_BHWC.device
    height, width = images_BHWC.shape[1:3]
    images = images_BHWC.permute(0, 3, 1, 2).float()
    # grid_sample uses coordinates from -1 to 1 between the centres of the outer pixels, and mirrors at these centres.
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
    """Return which pixels are in any of an image's boxes, bool (B, 1, H, W)."""
    top, left, bottom, right = to_device(np.moveaxis(boxes_BE4, 2, 0), y.device)[:, :, :, None]
    rows, columns = (y >= top) & (y < bottom), (x >= left) & (x < right)
    inside: Tensor = (rows[:, :, :, None] & columns[:, :, None, :]).any(dim=1, keepdim=True)
    return inside


def _erased_fill(noise_B2: NDArray[np.int64], filling: Tensor, height: int, width: int) -> Tensor:
    """Return the fill of erased pixels, (B, 3, H, W) or a shape that broadcasts to it."""
    if (noise_B2 < 0).any():
        return filling
    device = filling.device
    row, column = to_device(noise_B2.T, device)[:, :, None]
    rows, columns = row + torch.arange(height, device=device), column + torch.arange(width, device=device)
    windows = to_device(_noise(height, width), device)[rows[:, :, None], columns[:, None, :]]
    return windows.permute(0, 3, 1, 2).float()


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Copy an array to the device without waiting for the copy to finish."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
