"""Images of samples as photos: with a border that the classifier's first crop takes off again.

H height, W width.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskcls.data.views.transforms import ViewSpec, crop_window


def on_canvas(image_HWC: NDArray[np.uint8], spec: ViewSpec) -> NDArray[np.uint8]:
    """Return an image that shows exactly `image_HWC` after the first crop of `spec`, which samples have no need of.

    The border repeats the outermost pixels; no view of a training or a prediction shows it. Without a crop the image
    comes back as it is.
    """
    full = tuple(_full(side, share) for side, share in zip(image_HWC.shape[:2], spec.crop, strict=True))
    rows, columns = crop_window((full[0], full[1]), spec)
    border = (rows.start, full[0] - rows.stop, columns.start, full[1] - columns.stop)
    if not any(border):
        return image_HWC
    return np.asarray(cv2.copyMakeBorder(image_HWC, *border, cv2.BORDER_REPLICATE), dtype=np.uint8)


def _full(side: int, share: float) -> int:
    """Return a length of which a crop keeps `side` pixels."""
    near = round(side / share)
    return next(full for full in range(max(1, near - 2), near + 4) if max(1, round(full * share)) == side)


def png_of(image_HWC: NDArray[np.uint8]) -> bytes:
    """Return an image (H, W, 3) uint8 RGB as the bytes of a PNG; of equal images the same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(image_HWC).save(buffer, format="PNG")
    return buffer.getvalue()
