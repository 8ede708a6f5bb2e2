"""Random changes of real and generated images before the discriminator, with gradients through them.

Source: Zhao et al. 2020, arXiv:2006.10738 (DiffAugment): photos and generated images get the same kinds of changes, in
the steps of both networks, so that the generator does not learn the changes. B batch, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, assert_never

import torch
from torch import Tensor

Part = Literal["colour", "translation", "cutout"]

DRAWS = 7  # uniform numbers per image
BRIGHTNESS, SATURATION, CONTRAST, DOWN, RIGHT, TOP, LEFT = range(DRAWS)
SHIFT = 1 / 8  # of the side, the farthest translation
HIDDEN = 1 / 2  # of the side, the side of the cut-out box


def diff_augment(images_BCHW: Tensor, uniform_BD: Tensor, parts: Sequence[Part]) -> Tensor:
    """Change images by uniform numbers (B, 7) in [0, 1); other numbers are used by each part.

    images_BCHW  float (B, 3, H, W), centred at 0. colour changes brightness, saturation and contrast; translation
                 shifts by up to an eighth of the side; cutout hides a box of half of each side. What comes from outside
                 and what is hidden is 0.
    """
    for part in parts:
        match part:
            case "colour":
                images_BCHW = _colour(images_BCHW, uniform_BD)
            case "translation":
                images_BCHW = _translated(images_BCHW, uniform_BD)
            case "cutout":
                images_BCHW = images_BCHW * ~_hidden(images_BCHW, uniform_BD)
            case _:
                assert_never(part)
    return images_BCHW


def _colour(images_BCHW: Tensor, uniform_BD: Tensor) -> Tensor:
    brightness, saturation, contrast = (
        uniform_BD[:, draw].reshape(-1, 1, 1, 1) for draw in (BRIGHTNESS, SATURATION, CONTRAST)
    )
    images_BCHW = images_BCHW + (brightness - 0.5)
    grey_B1HW = images_BCHW.mean(dim=1, keepdim=True)
    images_BCHW = (images_BCHW - grey_B1HW) * (2 * saturation) + grey_B1HW
    mean_B111 = images_BCHW.mean(dim=(1, 2, 3), keepdim=True)
    return (images_BCHW - mean_B111) * (contrast + 0.5) + mean_B111


def _translated(images_BCHW: Tensor, uniform_BD: Tensor) -> Tensor:
    batch, _, height, width = images_BCHW.shape
    down_B = _whole(uniform_BD[:, DOWN], -round(height * SHIFT), round(height * SHIFT))
    right_B = _whole(uniform_BD[:, RIGHT], -round(width * SHIFT), round(width * SHIFT))
    row_BH = torch.arange(height, device=images_BCHW.device) - down_B[:, None]
    column_BW = torch.arange(width, device=images_BCHW.device) - right_B[:, None]
    inside_BHW = ((row_BH >= 0) & (row_BH < height))[:, :, None] & ((column_BW >= 0) & (column_BW < width))[:, None]
    place = torch.arange(batch, device=images_BCHW.device)[:, None, None]
    rows, columns = row_BH.clamp(0, height - 1)[:, :, None], column_BW.clamp(0, width - 1)[:, None]
    moved_BHWC = images_BCHW.permute(0, 2, 3, 1)[place, rows, columns]
    return (moved_BHWC * inside_BHW[..., None]).permute(0, 3, 1, 2)


def _hidden(images_BCHW: Tensor, uniform_BD: Tensor) -> Tensor:
    """Return the pixels of each image's box, bool (B, 1, H, W). Its centre is uniform, so borders may cut it."""
    height, width = images_BCHW.shape[2:]
    tall, wide = round(height * HIDDEN), round(width * HIDDEN)
    top_B = _whole(uniform_BD[:, TOP], 0, height - 1 + (1 - tall % 2)) - tall // 2
    left_B = _whole(uniform_BD[:, LEFT], 0, width - 1 + (1 - wide % 2)) - wide // 2
    row_H = torch.arange(height, device=images_BCHW.device)
    column_W = torch.arange(width, device=images_BCHW.device)
    rows_BH = (row_H >= top_B[:, None]) & (row_H < top_B[:, None] + tall)
    columns_BW = (column_W >= left_B[:, None]) & (column_W < left_B[:, None] + wide)
    return (rows_BH[:, :, None] & columns_BW[:, None])[:, None]


def _whole(uniform_B: Tensor, least: int, most: int) -> Tensor:
    """Return uniform numbers in [0, 1) as whole numbers from `least` to `most`, both included."""
    return (uniform_B * (most - least + 1)).long().clamp(max=most - least) + least
