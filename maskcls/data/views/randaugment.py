"""RandAugment's operations on one uint8 image, on the host. Cubuk et al. 2019, arXiv:1909.13719.

The operations that invert or quantise colours (invert, posterize, solarize) are left out, and autocontrast and equalize
change only brightness, because the colours of mask and skin are important features. Strengths at level 1 are those of
the paper's search. H height, W width.
"""

from __future__ import annotations

import math
from typing import Literal, assert_never, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Operation = Literal[
    "identity",
    "autocontrast",
    "equalize",
    "rotate",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "brightness",
    "contrast",
    "saturation",
    "sharpness",
]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)  # a draw is an index into it; 0 does not change the image

ROTATE_DEG, SHEAR, TRANSLATE, ENHANCE = 30.0, 0.3, 0.45, 0.9  # at level 1
GREY = np.array([0.299, 0.587, 0.114])  # weights of red, green and blue in a grey value (ITU-R BT.601)
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13


def operate(image_HWC: Image, operation: Operation, level: float) -> Image:
    """Return (H, W, 3) uint8 after one operation: a new image, or the same object if nothing changes.

    level  in [-1, 1]: strength and direction. Positive levels rotate clockwise and shift right or down; brightness,
           contrast, saturation and sharpness are multiplied by 1 + 0.9 * level. The first three operations ignore it.
    """
    height, width = image_HWC.shape[:2]
    factor = 1 + ENHANCE * level
    match operation:
        case "identity":
            return image_HWC
        case "autocontrast":
            low, high, _, _ = cv2.minMaxLoc(cv2.cvtColor(image_HWC, cv2.COLOR_RGB2GRAY))
            gain = 255 / max(1, high - low)
            return image_HWC if high == low else _scaled(image_HWC, gain, -low * gain)
        case "equalize":
            luma, *chroma = cv2.split(cv2.cvtColor(image_HWC, cv2.COLOR_RGB2YCrCb))
            flat = cv2.merge([cv2.equalizeHist(luma), *chroma])
            return np.asarray(cv2.cvtColor(flat, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
        case "rotate":
            angle = math.radians(ROTATE_DEG * level)
            cos, sin = math.cos(angle), math.sin(angle)
            return _warped(image_HWC, ((cos, sin), (-sin, cos)))
        case "shear_x":
            return _warped(image_HWC, ((1, -SHEAR * level), (0, 1)))
        case "shear_y":
            return _warped(image_HWC, ((1, 0), (-SHEAR * level, 1)))
        case "translate_x":
            return _warped(image_HWC, ((1, 0), (0, 1)), right=TRANSLATE * level * width)
        case "translate_y":
            return _warped(image_HWC, ((1, 0), (0, 1)), down=TRANSLATE * level * height)
        case "brightness":
            return _scaled(image_HWC, factor, 0.0)
        case "contrast":
            grey = float(np.dot(cv2.mean(image_HWC)[:3], GREY))
            return _scaled(image_HWC, factor, grey * (1 - factor))
        case "saturation":
            mix = factor * np.eye(3) + (1 - factor) * GREY
            return np.asarray(cv2.transform(image_HWC, mix.astype(np.float32)), dtype=np.uint8)
        case "sharpness":
            soft = cv2.filter2D(image_HWC, -1, SMOOTH, borderType=cv2.BORDER_REFLECT_101)
            return np.asarray(cv2.addWeighted(image_HWC, factor, soft, 1 - factor, 0), dtype=np.uint8)
        case _:
            assert_never(operation)


def _scaled(image_HWC: Image, gain: float, offset: float) -> Image:
    table = np.clip(np.rint(np.arange(256) * gain + offset), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image_HWC, table), dtype=np.uint8)


def _warped(
    image_HWC: Image, source: tuple[tuple[float, float], tuple[float, float]], right: float = 0, down: float = 0
) -> Image:
    """Return the image shifted by (right, down) pixels, then warped; borders are mirrored.

    source  matrix from an output position (x, y), relative to the centre, to its input position.
    """
    height, width = image_HWC.shape[:2]
    matrix, middle = np.array(source), np.array([(width - 1) / 2, (height - 1) / 2])
    start = middle - matrix @ np.add(middle, (right, down))
    return np.asarray(
        cv2.warpAffine(
            image_HWC,
            np.column_stack([matrix, start]),
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        dtype=np.uint8,
    )
