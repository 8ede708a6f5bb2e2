"""The view of an image that enters the network, from one spec that is stored with the weights.

The only importer of albumentations, which does the rarer changes of pixels; `augment` does the common ones. Train and
eval views begin with the same centre crop and resize, so a network sees at prediction what it saw in training.
H height, W width.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import albumentations as A

Image = NDArray[np.uint8]

OVERSIZE = 1.5  # a photo is decoded at this multiple of what the crop is resized to, or more


@dataclass(frozen=True)
class ViewSpec:
    """What becomes of an image before it enters the network.

    crop        centre crop before anything else: the shares (height, width) that are kept, in (0, 1].
    size        (height, width) in pixels the network sees.
    hflip       probability of a left-right flip.
    geometry    probability of one shift (share of the side), scale (share) and rotation (degrees), drawn together.
    colour      probability of one change of brightness and contrast (shares).
    cutout      probability of one box, `cutout_size` of each side, filled with the mean colour.
    gray, clahe, sharpen, blur   probabilities of: no colour, local contrast, sharper edges, softer edges.
    mean, std   per channel, RGB in [0, 1]; applied on the device, not here.
    """

    crop: tuple[float, float]
    size: tuple[int, int]
    hflip: float
    geometry: float
    shift: float
    scale: float
    rotate_deg: float
    colour: float
    brightness: float
    contrast: float
    cutout: float
    cutout_size: float
    gray: float
    clahe: float
    sharpen: float
    blur: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def fill(self) -> tuple[int, int, int]:
        """The mean colour, RGB in 0..255."""
        red, green, blue = (round(255 * m) for m in self.mean)
        return red, green, blue

    @property
    def decode_size(self) -> tuple[int, int]:
        """(height, width) in pixels a photo must at least be decoded at, so that resizing still averages pixels."""
        height, width = (math.ceil(OVERSIZE * n / share) for n, share in zip(self.size, self.crop, strict=True))
        return height, width

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ViewSpec:
        """Rebuild the spec from `to_json` data that went through JSON."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
        return ViewSpec(**fields)


def eval_view(image_HWC: Image, spec: ViewSpec) -> Image:
    """Crop and resize (H, W, 3) uint8 to `spec.size`; the same for every call."""
    image_HWC = _centre_crop(image_HWC, *spec.crop)
    height, width = spec.size
    if image_HWC.shape[:2] == (height, width):
        return np.ascontiguousarray(image_HWC)
    shrinking = height < image_HWC.shape[0] and width < image_HWC.shape[1]
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_HWC, (width, height), interpolation=interpolation), dtype=np.uint8)


def build_pixel_changes(spec: ViewSpec) -> A.Compose | None:
    """Build the changes that albumentations makes, on the output of `augment`; None when the spec asks for none."""
    if not any((spec.gray, spec.clahe, spec.sharpen, spec.blur)):
        return None
    # albumentations asks PyPI for newer versions while it is imported; nothing may call home at run time.
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as A

    steps = [
        A.ToGray(p=spec.gray),
        A.CLAHE(clip_limit=(1.0, 4.0), p=spec.clahe),
        A.Sharpen(p=spec.sharpen),
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.5, 1.5), p=spec.blur),
    ]
    return A.Compose([step for step in steps if step.p > 0])


def change_pixels(image_HWC: Image, changes: A.Compose, seed: tuple[int, ...]) -> Image:
    """Draw the changes of (H, W, 3) uint8; the same image and seed give the same pixels.

    All steps share one generator pair. `Compose.set_random_seed` would hand each step its own generator with the same
    seed, and then steps of equal probability would all fire together or not at all.
    """
    generator = np.random.default_rng(seed)
    shared = random.Random(int(generator.integers(1 << 62)))
    for step in changes.transforms:
        step.set_random_state(generator, shared)
    return np.ascontiguousarray(changes(image=image_HWC)["image"])


def _centre_crop(image_HWC: Image, height_share: float, width_share: float) -> Image:
    """Keep the middle, at least one pixel; an odd remainder goes to the bottom and the right."""
    full_height, full_width = image_HWC.shape[:2]
    height, width = max(1, round(full_height * height_share)), max(1, round(full_width * width_share))
    top, left = (full_height - height) // 2, (full_width - width) // 2
    return image_HWC[top : top + height, left : left + width]
