"""Pixels as generators see them, in [-1, 1], and sheets of images.

B images, H height, W width.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_unit(images_BHWC: Tensor) -> Tensor:
    """Turn uint8 (B, H, W, 3) into float32 (B, 3, H, W) in [-1, 1] on their device."""
    return images_BHWC.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1


def to_pixels(images_BCHW: Tensor) -> NDArray[np.uint8]:
    """Turn (B, 3, H, W) in [-1, 1] into uint8 (B, H, W, 3), rounded and clipped."""
    scaled = ((images_BCHW.detach().float() + 1) * 127.5).round().clamp(0, 255)
    pixels: NDArray[np.uint8] = scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return pixels


def tiled(images_BHWC: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Return one picture of all images, row by row; places that are left over are black."""
    count, height, width, channels = images_BHWC.shape
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height, width, channels), dtype=np.uint8)
    cells[:count] = images_BHWC
    grid = cells.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(rows * height, columns * width, channels))
