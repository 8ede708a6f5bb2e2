"""Photo descriptors: small thumbnails of whole photos, so that all pairs of photos can be compared.

N photos, D numbers per descriptor, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from maskcls.data.photos.images import decode, each_image
from maskcls.data.photos.rgb import Pixels
from maskcls.labels import Floats

SIZE = (16, 12)  # (height, width) of the thumbnail; shows mainly hair, clothes, background and light
D = SIZE[0] * SIZE[1] * 3
AT_LEAST = (2 * SIZE[0], 2 * SIZE[1])  # minimum decode size; usually allows fast decoding at 1/8 scale


def descriptors(
    root: Path,
    paths: Sequence[str],
    *,
    threads: int,
    on_progress: Callable[[int], None] | None = None,
    on_file: Callable[[int, bytes], object] = lambda row, data: None,
) -> Floats:
    """Read all photos and compute their descriptors; row n is `describe` of the photo at paths[n].

    paths        relative to root.
    threads      threads that read and decode.
    on_progress  called with the number of photos done so far.
    on_file      called, on these threads, with the row and the bytes of each file.

    Returns (N, D) float32, the same for any number of threads. Raises DataError that lists all unreadable photos.
    """
    found_ND = np.empty((len(paths), D), dtype=np.float32)

    def describe_one(row: int, data: bytes) -> None:
        on_file(row, data)
        found_ND[row] = describe(decode(data, root / paths[row], at_least=AT_LEAST))

    each_image(root, paths, describe_one, threads=threads, on_progress=on_progress)
    return found_ND


def describe(image_HWC: Pixels) -> Floats:
    """Return the whole photo as a thumbnail in CIE L*a*b* (CIE 1976), where distances are roughly perceptual.

    image_HWC  uint8 RGB of any size; resized to 16 x 12 without keeping the aspect ratio, by pixel area.

    Returns (D,) float32, row by row: L in 0..100, a and b in -128..127 for every pixel.
    """
    small_HWC = cv2.resize(image_HWC, SIZE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.cvtColor(small_HWC, cv2.COLOR_RGB2LAB).ravel().astype(np.float32, copy=False)
