"""One photo of a drawn person, from the person's traits, the mask state and a random generator.

Small photos are painted larger and then scaled down, so that a line has the same width relative to the face.
H, W height and width in pixels, 3 colour (RGB).
"""

from __future__ import annotations

import cv2
import numpy as np

from maskcls.data.drawn.canvas import Pixels
from maskcls.data.drawn.hair import paint_back_hair, paint_front_hair, paint_glasses
from maskcls.data.drawn.head import paint_age, paint_eyes, paint_head, paint_nose_and_mouth
from maskcls.data.drawn.look import Look, MaskKind, State
from maskcls.data.drawn.mask import SLIP_SHARES, SLIPS, paint_mask
from maskcls.data.drawn.scene import paint_background, paint_body, place_head

PAINT_HEIGHT_PX = 224


def draw_photo(look: Look, state: State, kind: MaskKind, *, rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """Draw one photo of a person.

    look   the person's traits.
    state  how the mask is worn; `normal` draws none and ignores `kind`.
    kind   one of `MASK_KINDS`.
    rng    for pose, light, mask colours, position of an incorrect mask, blur and noise; not for the person's traits.
    size   (height, width) of the photo in pixels.

    Returns uint8 RGB of shape (H, W, 3).
    """
    factor = max(1, -(-PAINT_HEIGHT_PX // size[0]))
    canvas = place_head((size[0] * factor, size[1] * factor), look, rng)
    paint_background(canvas, look, rng)
    paint_back_hair(canvas, look)
    paint_body(canvas, look)
    paint_head(canvas, look, rng)
    paint_eyes(canvas, look, rng)
    paint_nose_and_mouth(canvas, look, rng)
    paint_age(canvas, look)
    if state != "normal":
        slip = None if state == "wear" else SLIPS[int(rng.choice(len(SLIPS), p=SLIP_SHARES))]
        paint_mask(canvas, look, kind, slip, rng)
    paint_front_hair(canvas, look)
    if look.glasses:
        paint_glasses(canvas, look)
    return _photograph(canvas.pixels_HW3, rng, size)


def _photograph(pixels_HW3: Pixels, rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """Resize, and apply light from one side, exposure, colour cast, blur and noise."""
    height, width = size
    photo = cv2.resize(pixels_HW3, (width, height), interpolation=cv2.INTER_AREA)
    photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.1, 1.1) * height / 256 + 0.05)
    angle, strength = rng.uniform(0, 2 * np.pi), abs(rng.normal(0, 0.12))
    x_W = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(np.cos(angle) * strength)
    y_H = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(np.sin(angle) * strength)
    light_HW = 1 + y_H[:, None] + x_W
    gain_3 = np.exp(rng.normal(-0.02, 0.11) + rng.normal(0, 0.028, 3)).astype(np.float32)
    noise_HW = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(1, 6))
    lit = cv2.multiply(photo, cv2.merge([light_HW * gain for gain in gain_3]), dtype=cv2.CV_32F)
    return np.asarray(cv2.add(lit, cv2.merge([noise_HW] * 3), dtype=cv2.CV_8U), dtype=np.uint8)
