"""The train and eval views of an image, from one spec that is stored with the weights.

The only importer of albumentations. Both views begin with the same centre crop and resize, so a network sees at
prediction what it saw in training. H height, W width.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# albumentations asks PyPI for newer versions while it is imported; nothing may call home at run time.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class ViewSpec:
    """What becomes of an image before it enters the network.

    crop        centre crop before anything else: the shares (height, width) that are kept, in (0, 1].
    size        (height, width) in pixels the network sees.
    hflip       probability of a left-right flip.
    geometry    probability of one shift (share of the side), scale (share) and rotation (degrees), drawn together.
    colour      probability of one change of brightness and contrast (shares).
    cutout      probability of one box, `cutout_size` of each side, filled with the mean colour.
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
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

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


def build_augmentation(spec: ViewSpec) -> A.Compose:
    """Build the random part of the train view; it runs on the output of `eval_view`."""
    fill = tuple(round(255 * m) for m in spec.mean)
    steps = [
        A.HorizontalFlip(p=spec.hflip),
        A.Affine(
            translate_percent={"x": (-spec.shift, spec.shift), "y": (-spec.shift, spec.shift)},
            scale=(1 - spec.scale, 1 + spec.scale),
            rotate=(-spec.rotate_deg, spec.rotate_deg),
            keep_ratio=True,
            border_mode=cv2.BORDER_REFLECT_101,
            p=spec.geometry,
        ),
        A.RandomBrightnessContrast(spec.brightness, spec.contrast, p=spec.colour),
        A.CoarseDropout(
            num_holes_range=(1, 1),
            hole_height_range=(spec.cutout_size, spec.cutout_size),
            hole_width_range=(spec.cutout_size, spec.cutout_size),
            fill=fill,
            p=spec.cutout,
        ),
    ]
    return A.Compose([step for step in steps if step.p > 0])


def augment(image_HWC: Image, augmentation: A.Compose, seed: tuple[int, ...]) -> Image:
    """Draw one train view of (H, W, 3) uint8; the same image and seed give the same view.

    All steps share one generator pair. `Compose.set_random_seed` would hand each step its own generator with the same
    seed, and then steps of equal probability would all fire together or not at all.
    """
    generator = np.random.default_rng(seed)
    shared = random.Random(int(generator.integers(1 << 62)))
    for step in augmentation.transforms:
        step.set_random_state(generator, shared)
    return np.ascontiguousarray(augmentation(image=image_HWC)["image"])


def _centre_crop(image_HWC: Image, height_share: float, width_share: float) -> Image:
    """Keep the middle, at least one pixel; an odd remainder goes to the bottom and the right."""
    full_height, full_width = image_HWC.shape[:2]
    height, width = max(1, round(full_height * height_share)), max(1, round(full_width * width_share))
    top, left = (full_height - height) // 2, (full_width - width) // 2
    return image_HWC[top : top + height, left : left + width]
