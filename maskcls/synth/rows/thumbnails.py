"""Images as small grey thumbnails, which differ little between a photo and a copy of it.

A copy that was shifted by a pixel, blurred, made brighter or given noise has nearly the same thumbnail. The embeddings
of a trained network are no such measure: they differ much with sharpness and position.

M images, H height, W width, D pixels of a thumbnail.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats

SIDE = 16  # in pixels; the aspect ratio is not kept
FLAT = 0.1  # in grey values: an image that varies less in all has nothing but rounding


def thumbnails(images_MHWC: NDArray[np.uint8]) -> Floats:
    """Return the thumbnails (M, D) float32 of RGB images, of mean 0 and length 1; a flat image gives zeros.

    The squared distance of two is 2 - 2 r, r being the correlation of their pixels, so brightness and contrast do not
    count.
    """
    found_MD = np.zeros((len(images_MHWC), SIDE * SIDE))
    for place, image_HWC in enumerate(images_MHWC):
        grey_HW = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2GRAY).astype(np.float32)
        pixels_D = cv2.resize(grey_HW, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
        centred_D = pixels_D - pixels_D.mean()
        length = np.linalg.norm(centred_D)
        if length > FLAT:
            found_MD[place] = centred_D / length
    return found_MD.astype(np.float32)


def both_ways(images_MHWC: NDArray[np.uint8]) -> Floats:
    """Return the thumbnails (2M, D) of images, and then those of their mirror images."""
    return np.concatenate([thumbnails(images_MHWC), thumbnails(np.ascontiguousarray(images_MHWC[:, :, ::-1]))])
