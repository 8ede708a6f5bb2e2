"""Turn a decoded image of any mode into upright RGB pixels. H height, W width."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

BACKGROUND = 127  # grey value behind transparent pixels
HALF_OPAQUE = 128  # of 255
ALPHA_MODES = ("RGBA", "RGBa", "LA", "La", "PA")
BAND_PIXELS = 1 << 20  # of larger images, converted at a time


def rgb(image: Image.Image, *, inverted: bool = False, grey_bits: int | None = None) -> Pixels:
    """Return a loaded image as RGB (H, W, 3) uint8.

    16-bit grey is scaled to 8 bits, transparent pixels are blended with grey (`BACKGROUND`).

    inverted   of 16-bit grey: white is zero.
    grey_bits  bits of the file's grey pixels, where Pillow scaled them to 8 bits but not the transparent colour.

    Raises ValueError for 32-bit pixels, whose range is not known.
    """
    convert, (width, height) = _conversion(image, inverted=inverted, grey_bits=grey_bits), image.size
    if width * height <= BAND_PIXELS:
        return convert(image)
    rgb_HWC = np.empty((height, width, 3), np.uint8)
    step = max(1, BAND_PIXELS // width)
    for top in range(0, height, step):  # Pillow copies all pixels several times: a band at a time, that is little
        below = min(top + step, height)
        rgb_HWC[top:below] = convert(image.crop((0, top, width, below)))
    return rgb_HWC


def _conversion(image: Image.Image, *, inverted: bool, grey_bits: int | None) -> Callable[[Image.Image], Pixels]:
    """Return what turns this image, or rows of it, into RGB (H, W, 3) uint8; for the arguments see `rgb`."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.array
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return partial(_grey_16, inverted=inverted)
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels without a known range")
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        if grey_bits is not None and "transparency" in image.info:
            image.info["transparency"] = image.info["transparency"] * 255 // (2**grey_bits - 1)
        return _on_grey
    return lambda rows: np.array(rows.convert("RGB"))


def _on_grey(image: Image.Image) -> Pixels:
    rgba = image.convert("RGBA")
    behind = Image.new("RGBA", image.size, (BACKGROUND,) * 3 + (255,))
    return np.array(Image.alpha_composite(behind, rgba).convert("RGB"))


def transparent_share(image: Image.Image) -> float:
    """Return the share of an image's pixels that are more transparent than not, in [0, 1]; it is loaded if need be."""
    if image.mode not in ALPHA_MODES and "transparency" not in image.info:
        return 0.0
    return float((np.array(image.convert("RGBA").getchannel("A")) < HALF_OPAQUE).mean())


def upright(pixels_HWC: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation, 1 to 8: mirror for 2, 4, 5 and 7, then rotate."""
    if orientation in (2, 4, 5, 7):
        pixels_HWC = pixels_HWC[:, ::-1]
    quarter_turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(pixels_HWC, quarter_turns) if quarter_turns else pixels_HWC


def _grey_16(image: Image.Image, *, inverted: bool) -> Pixels:
    """Scale 16-bit grey to 8 bits; `convert` would clip: 30000 of 65535 must become 117, not 255."""
    value_HW = np.asarray(image).astype(np.int64)
    grey_HW = ((65535 - value_HW if inverted else value_HW) + 128) // 257
    if "transparency" in image.info:
        grey_HW[value_HW == image.info["transparency"]] = BACKGROUND
    return np.repeat(grey_HW.astype(np.uint8)[:, :, None], 3, axis=2)
