"""Do the images that the network gets differ from each other?

Measured on what a real training step passes to the backbone. B images, n validation views.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maskcls.data.photos.rgb import Pixels
from maskcls.results.diagnosis.finding import Finding

# Of 255. A photo of one colour has 0; noise of the camera and of JPEG gives about 1 to 2, the weakest faces above 10.
BLANK = 3.0
MOST_BLANK = 0.05  # more photos than that are no accident of single photos
# Share of the spread of all pixels that lies between images. Photos of faces in one pose have 0.5 and more; equal
# images have 0, and 0.02 still lets through a set-up in which only the light differs.
LEAST_BETWEEN = 0.02


def blank_share(views_nHWC: Pixels) -> float:
    """Return the share of images (n, H, W, 3) of which every channel is of one colour, up to noise.

    >>> blank_share(np.stack([np.zeros((4, 4, 3), np.uint8), np.eye(4, dtype=np.uint8)[..., None].repeat(3, 2) * 99]))
    0.5
    """
    spread_n = views_nHWC.reshape(len(views_nHWC), -1, 3).astype(np.float32).std(axis=1).max(axis=1)
    return float((spread_n < BLANK).mean())


def between_share(images_BCHW: NDArray[np.float32]) -> float:
    """Return the share of the variance of pixel values that lies between images, in [0, 1]; 0 for equal images.

    >>> between_share(np.ones((4, 3, 2, 2), np.float32))
    0.0
    """
    images = images_BCHW.astype(np.float64)
    within_channel = ((images - images.mean(axis=(0, 2, 3), keepdims=True)) ** 2).mean()
    between = images.var(axis=0).mean()
    return float(between / within_channel) if within_channel > 1e-12 else 0.0


def check_inputs(images_BCHW: NDArray[np.float32], views_nHWC: Pixels, network: str) -> Finding:
    """Check that the images of a step (B, 3, H, W) differ, and that few photos (n, H, W, 3) are blank."""
    blank, between = blank_share(views_nHWC), between_share(images_BCHW)
    values = {"blank_share": blank, "between_share": between}
    found = f"{blank * 100:.1f} % of {len(views_nHWC)} photos are blank"
    found += f"; {between * 100:.0f} % of the pixel variance is between images"
    if not np.isfinite(images_BCHW).all():
        next = ("look at the photos with maskcls data check", "transforms.mean=auto transforms.std=auto")
        return Finding("inputs", "fail", "pixel values are NaN or infinite", "dead input", next, network, values)
    if blank > MOST_BLANK or between < LEAST_BETWEEN:
        next = ("look at first_batch.png of a run, and at maskcls data check", "check the path column of the table")
        return Finding("inputs", "fail", found, "dead input", next, network, values)
    return Finding("inputs", "pass", found, network=network, values=values)
