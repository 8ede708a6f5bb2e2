"""The view of an image that enters the network, described by a spec that is stored with the weights.

Only this module imports albumentations, for rarely used pixel changes; `augment` does the common ones. Train and eval
views begin with the same crop and resize, so training and prediction use the same part of an image.
H height, W width.
"""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import albumentations as A

Image = NDArray[np.uint8]

OVERSIZE = 1.5  # a photo is decoded at this multiple of the size the crop is resized to, or larger


ErasingFill = Literal["mean", "noise"]


@dataclass(frozen=True)
class ViewSpec:
    """All steps between a decoded image and the network.

    crop        first crop: the shares (height, width) that are kept, in (0, 1].
    size        (height, width) in pixels of the network's input.
    hflip       probability of a left-right flip.
    geometry    probability of a shift (share of the side), scale (share) and rotation (degrees), applied together.
    colour      probability of a change of brightness, contrast, saturation (shares) and hue (share of the colour
                circle), applied together.
    cutout      probability of one box, `cutout_size` of each side, filled with the mean colour.
    gray, clahe, sharpen, blur   probabilities of: greyscale, local contrast, sharper edges, Gaussian blur.
    mean, std   per channel, RGB in [0, 1]; applied on the device, not here.

    The fields below were added later. Their defaults change nothing, so that older saved specs can still be read:

    crop_centre shares (height, width) of the crop's centre; the crop is shifted to be inside the photo.
    zoom        probability of a random crop that keeps a share from `zoom_share` to 1 of each side.
    erasing     probability of 1 to `erasing_boxes` boxes that together cover `erasing_area` (smallest and largest
                share) of the image, filled with the mean colour or noise. Zhong et al. 2017, arXiv:1708.04896.
    grid_dropout  probability of a regular grid of squares in the mean colour; `grid_unit`: their distance as a share of
                the shorter side; `grid_ratio`: their side as a share of the distance. Chen et al. 2020,
                arXiv:2001.04086.
    randaugment number of operations per image, each at `randaugment_magnitude` of 10. Cubuk et al. 2019,
                arXiv:1909.13719.
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
    crop_centre: tuple[float, float] = (0.5, 0.5)
    saturation: float = 0.0
    hue: float = 0.0
    zoom: float = 0.0
    zoom_share: float = 1.0
    erasing: float = 0.0
    erasing_boxes: int = 1
    erasing_area: tuple[float, float] = (0.02, 0.2)
    erasing_fill: ErasingFill = "mean"
    grid_dropout: float = 0.0
    grid_unit: float = 0.25
    grid_ratio: float = 0.5
    randaugment: int = 0
    randaugment_magnitude: float = 5.0

    @property
    def host_alone(self) -> bool:
        """Whether the train view has steps that the device cannot do."""
        return any((self.gray, self.clahe, self.sharpen, self.blur, self.randaugment))

    @property
    def fill(self) -> tuple[int, int, int]:
        """The mean colour, RGB in 0..255."""
        red, green, blue = (round(255 * m) for m in self.mean)
        return red, green, blue

    @property
    def decode_size(self) -> tuple[int, int]:
        """Smallest (height, width) in pixels for decoding a photo, so that resizing still averages pixels."""
        height, width = (math.ceil(OVERSIZE * n / share) for n, share in zip(self.size, self.crop, strict=True))
        return height, width


def eval_view(image_HWC: Image, spec: ViewSpec) -> Image:
    """Return (H, W, 3) uint8, cropped and resized to `spec.size`; deterministic."""
    image_HWC = image_HWC[crop_window(image_HWC.shape[:2], spec)]
    height, width = spec.size
    if image_HWC.shape[:2] == (height, width):
        return np.ascontiguousarray(image_HWC)
    shrinking = height < image_HWC.shape[0] and width < image_HWC.shape[1]
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_HWC, (width, height), interpolation=interpolation), dtype=np.uint8)


def build_pixel_changes(spec: ViewSpec) -> A.Compose | None:
    """Build the albumentations steps that follow `augment`; None if the spec has none."""
    if not any((spec.gray, spec.clahe, spec.sharpen, spec.blur)):
        return None
    # On import, albumentations checks PyPI for newer versions; this program must not use the network here.
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
    """Apply random changes to (H, W, 3) uint8; the same image and seed give the same pixels.

    All steps share one pair of generators. `Compose.set_random_seed` would give every step its own generator with the
    same seed, so steps of equal probability would always be applied together.
    """
    generator = np.random.default_rng(seed)
    shared = random.Random(int(generator.integers(1 << 62)))
    for step in changes.transforms:
        step.set_random_state(generator, shared)
    return np.ascontiguousarray(changes(image=image_HWC)["image"])


def crop_window(photo: tuple[int, int], spec: ViewSpec) -> tuple[slice, slice]:
    """Return the rows and columns of the first crop in a photo of this size (height, width), at least one pixel.

    They are inside the photo. For a centred window, the odd pixel is cut off at the bottom and the right.
    """
    rows, columns = map(_window, photo, spec.crop, spec.crop_centre)
    return rows, columns


def _window(full: int, share: float, centre: float) -> slice:
    kept = max(1, round(full * share))
    first = min(max(0, math.floor(centre * full - kept / 2)), full - kept)
    return slice(first, first + kept)
