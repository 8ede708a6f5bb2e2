"""How well two photos agree after one was aligned with a window of the other.

S side of a thumbnail in pixels. A copy agrees everywhere, whatever its brightness or contrast; another shot of the same
scene differs somewhere: eyes, a mask, hair. So the score is that of one of the weakest regions, not the mean.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from maskcls.data.duplicates.hashes import WINDOWS, S
from maskcls.data.photos.rgb import Pixels

STOP = cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS
STEPS, MORE_STEPS = (STOP, 20, 1e-3), (STOP, 8, 1e-4)  # of the alignment at half size, and at full size
SMOOTH = 3  # side of the smoothing filter of the alignment, in pixels
UNLIKE = 0.3  # pairs that agree this little at half size are not compared at full size
FINE, COARSE = 0.7, 4.0  # sd in pixels of the two smoothings whose difference is compared
LOW, HIGH = 4, 251  # grey values beyond these are cut off by exposure
REGIONS = 4  # per side
WEAKEST = 3  # the region that counts: one or two regions of a copy may be cut off or covered by a stamp
LEAST = 0.2  # share of the thumbnail that must be comparable
FLAT = 0.5  # a variance below this, in grey values squared, has nothing to compare

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]


def agreement(whole_SS: Pixels, part_SS: Pixels, window: int) -> float:
    """Return the agreement of a photo with a window of another one, at most 1; 0 or less: they differ widely.

    The part is aligned with the window by an affine map that maximises their correlation (enhanced correlation
    coefficient; Evangelidis and Psarakis 2008, IEEE TPAMI 30). Details of the size of a few pixels are then normalised
    to variance 1 and subtracted. The score is 1 - half the mean squared difference in the third weakest of 16 regions;
    1 means equal, and it is a correlation coefficient where both have variance 1 in that region.

    whole_SS, part_SS  grey uint8 (S, S), see `hashes.thumbnail`.
    window             number in `hashes.WINDOWS`.
    """
    view = WINDOWS[window]
    image = np.ascontiguousarray(whole_SS[:, ::-1]) if view.mirrored else whole_SS
    small, small_part = _halved(image), _halved(part_SS)
    start = np.array([[view.side, 0, view.left * S / 2], [0, view.side, view.top * S / 2]], np.float32)
    map_23 = _aligned(small, small_part, start, STEPS)
    if _compared(small, small_part, map_23) <= UNLIKE:
        return 0.0
    map_23[:, 2] *= 2
    return _compared(image, part_SS, _aligned(image, part_SS, map_23, MORE_STEPS))


def _halved(image: Pixels) -> Pixels:
    return np.asarray(cv2.resize(image, (S // 2, S // 2), interpolation=cv2.INTER_AREA), np.uint8)


def _aligned(image: Pixels, part: Pixels, start_23: Image, steps: tuple[int, int, float]) -> Image:
    everywhere = np.full(part.shape, 255, np.uint8)
    try:
        _, found = cv2.findTransformECC(part, image, start_23.copy(), cv2.MOTION_AFFINE, steps, everywhere, SMOOTH)
    except cv2.error:  # nothing in common, so it does not converge: as it is
        return start_23
    return np.asarray(found, np.float32)


def _compared(image: Pixels, part: Pixels, map_23: Image) -> float:
    size, flags = image.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = np.asarray(cv2.warpAffine(image, map_23, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    inside = cv2.warpAffine(np.ones(image.shape, np.float32), map_23, size, flags=flags) > 0.99
    return _agreement(moved, part, np.asarray(inside & ~(_cut_off(moved) ^ _cut_off(part))))


def _cut_off(image: Pixels) -> Mask:
    return np.asarray((image <= LOW) | (image >= HIGH))


def _agreement(first: Pixels, second: Pixels, comparable: Mask) -> float:
    # Pixels beside an excluded one are affected by it.
    kernel = np.ones((2 * (len(comparable) // 48) + 1,) * 2, np.uint8)
    mask = cv2.erode(comparable.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE).astype(bool)
    if mask.mean() < LEAST:
        return 0.0
    one, two = (_normalised(_details(image), mask) for image in (first, second))
    if one is None or two is None:
        return 0.0
    squared = np.where(mask, (one - two) ** 2, 0)
    size = len(mask) // REGIONS
    counted = _sums(mask.astype(np.float32), size)
    # A region of few comparable pixels counts less, as if its other pixels were equal.
    region = _sums(squared, size) / np.maximum(counted, size * size / 4)
    return 1 - float(np.sort(region.ravel())[-WEAKEST]) / 2


def _details(image: Pixels) -> Image:
    grey = image.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), FINE) - cv2.GaussianBlur(grey, (0, 0), COARSE), np.float32)


def _normalised(image: Image, mask: Mask) -> Image | None:
    values = image[mask]
    variance = float(values.var())
    return None if variance < FLAT else np.asarray((image - values.mean()) / np.sqrt(variance), np.float32)


def _sums(image: Image, size: int) -> Image:
    return np.asarray(image.reshape(REGIONS, size, REGIONS, size).sum(axis=(1, 3)), np.float32)
