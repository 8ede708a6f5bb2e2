"""Copies made of a data set's own photos, to measure how well copies are found."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal, get_args

import cv2
import numpy as np
from PIL import Image

from maskcls.data.photos.rgb import Pixels

Kind = Literal["encoded", "mirrored", "brightened", "cropped"]
KINDS: tuple[Kind, ...] = get_args(Kind)
QUALITY = (40, 91)  # of JPEG
BRIGHTER = (1.1, 1.3)  # or the inverse
AREA = (0.8, 0.95)  # share of the photo that a crop keeps


def made_copies(image_HWC: Pixels, rng: np.random.Generator) -> Iterator[tuple[Kind, Pixels]]:
    """Yield one copy of each kind, each encoded again as JPEG, as uint8 RGB.

    encoded     JPEG of quality 40 to 90, and resized to 70 to 130 % of its size.
    mirrored    left and right exchanged.
    brightened  all values multiplied by 1.1 to 1.3, or divided by that.
    cropped     80 to 95 % of the area, anywhere in the photo.
    """
    height, width = image_HWC.shape[:2]
    scale = rng.uniform(0.7, 1.3)
    yield "encoded", _jpeg(_resized(image_HWC, scale), int(rng.integers(*QUALITY)))
    yield "mirrored", _jpeg(image_HWC[:, ::-1], 90)
    factor = rng.uniform(*BRIGHTER) ** rng.choice([-1, 1])
    yield "brightened", _jpeg(np.clip(image_HWC * factor, 0, 255).astype(np.uint8), 90)
    area = rng.uniform(*AREA)
    share = rng.uniform(area, 1)  # of the height; the width has the rest
    rows, columns = round(height * share), round(width * area / share)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    yield "cropped", _jpeg(image_HWC[top : top + rows, left : left + columns], 90)


def _resized(image: Pixels, scale: float) -> Pixels:
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _jpeg(image: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
    with Image.open(file) as copy:
        return np.array(copy.convert("RGB"))
