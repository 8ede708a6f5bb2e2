"""A difference hash of 256 bits, of a photo, of windows of it, and of their mirror images.

N photos, W windows (mirrored ones included), S side of a thumbnail in pixels.

Reference: the difference hash is described by Krawetz 2013, "Kind of Like That" (Hacker Factor blog); here it has
16 x 16 bits. A cropped copy has the hash of a window of the original, so windows are hashed too.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from maskcls.data.photos.rgb import Pixels

SIDE = 16  # rows of a hash, and bits per row
BYTES = SIDE * SIDE // 8
S = 96  # side of a thumbnail in pixels
SCALES = (0.92, 0.84)  # sides of the windows, as shares of the photo's sides
PLACES = (0.0, 0.5, 1.0)  # left, middle, right; and top, middle, bottom


@dataclass(frozen=True)
class HashWindow:
    """A part of a photo, or of its mirror image: left, top and side as shares of the photo's sides."""

    left: float
    top: float
    side: float
    mirrored: bool


def _windows() -> tuple[HashWindow, ...]:
    places = [((1 - side) * x, (1 - side) * y, side) for side in SCALES for x in PLACES for y in PLACES]
    return tuple(HashWindow(*place, mirrored) for mirrored in (False, True) for place in [(0.0, 0.0, 1.0), *places])


WINDOWS = _windows()  # the first is the whole photo
WHOLE = 0
MIRRORED = len(WINDOWS) // 2  # the whole mirror image


def thumbnail(image_HWC: Pixels) -> Pixels:
    """Return a photo as grey uint8 (S, S); the aspect ratio is not kept, so copies of other sizes agree."""
    small = cv2.resize(image_HWC, (S, S), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def difference_hash(grey_HW: Pixels) -> Pixels:
    """Return 256 bits, packed into uint8 (32,): whether each of 16 x 16 cells is brighter than the one left of it."""
    cells = cv2.resize(grey_HW, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits((cells[:, 1:] > cells[:, :-1]).ravel())


def window_hashes(thumbnail_SS: Pixels) -> Pixels:
    """Return the hash of each of WINDOWS, uint8 (W, 32); the first one is of the whole photo."""
    images = {False: thumbnail_SS, True: np.ascontiguousarray(thumbnail_SS[:, ::-1])}
    return np.stack([difference_hash(window_pixels(images[window.mirrored], window)) for window in WINDOWS])


def window_pixels(image_SS: Pixels, window: HashWindow) -> Pixels:
    """Return the window's pixels; the image is mirrored already where the window is."""
    left, top = round(window.left * S), round(window.top * S)
    side = round(window.side * S)
    return np.ascontiguousarray(image_SS[top : top + side, left : left + side])


def signs(hash_NB: Pixels) -> NDArray[np.float32]:
    """Return hashes uint8 (N, 32) as float32 (N, 256) of -1 and 1: their dot product is 256 - 2 * differing bits."""
    return np.unpackbits(hash_NB, axis=-1).astype(np.float32) * 2 - 1
