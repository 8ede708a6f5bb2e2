"""Shifts planted in photos on purpose, to see whether adaptation undoes them: camera, JPEG quality, night.

B images, H height, W width. They act on the images that a network gets, after crop and resize.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from maskcls import files

Pixels = NDArray[np.uint8]
Shift = Literal["none", "camera", "jpeg", "night", "shares"]

CAMERA_GAINS = (1.25, 0.9, 0.6)  # of red, green and blue: a warm colour cast, and less light
JPEG_QUALITY = 10
NIGHT_GAMMA, NIGHT_SD = 2.2, 12.0  # of values 0..1; of sensor noise, in values 0..255


def plant(shift: Shift, images_BHWC: Pixels, ids: Sequence[str]) -> Pixels:
    """Return the images after a shift; `none` and `shares`, which changes no pixel, return them as they are.

    ids  (B,) of the photos: the noise of each is drawn from its id alone.
    """
    change: Callable[[Pixels, str], Pixels]
    match shift:
        case "none" | "shares":
            return images_BHWC
        case "camera":
            change = _camera
        case "jpeg":
            change = _jpeg
        case "night":
            change = _night
        case _:
            assert_never(shift)
    return np.stack([change(image, name) for image, name in zip(images_BHWC, ids, strict=True)])


def keeps_person(person: str, *, one_in: int) -> bool:
    """Tell whether a person is one of the share 1 / one_in that a shift of class shares keeps, by the name's digest."""
    return int(files.sha256(person.encode())[:8], 16) % one_in == 0


def _camera(image_HWC: Pixels, name: str) -> Pixels:
    return _rounded(image_HWC * np.array(CAMERA_GAINS))


def _jpeg(image_HWC: Pixels, name: str) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(image_HWC).save(buffer, "JPEG", quality=JPEG_QUALITY)
    with Image.open(io.BytesIO(buffer.getvalue())) as decoded:
        return np.asarray(decoded.convert("RGB"))


def _night(image_HWC: Pixels, name: str) -> Pixels:
    noise = np.random.default_rng(int(files.sha256(name.encode())[:16], 16)).normal(0, NIGHT_SD, image_HWC.shape)
    return _rounded(255 * (image_HWC / 255) ** NIGHT_GAMMA + noise)


def _rounded(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
