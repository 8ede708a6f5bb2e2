"""Figures of a photo's quality, and which photos are blank, dark, blurred or of another size than the others.

N photos. Blur and size are relative to the set's own distribution, because a whole data set may be soft, or of two
sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from maskcls.data.photos.rgb import Pixels
from maskcls.labels import Floats

Measure = Literal["height", "width", "brightness", "contrast", "sharpness", "redness", "blueness"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
Fault = Literal["blank", "dark", "blurred", "odd size"]
FAULTS: tuple[Fault, ...] = get_args(Fault)

LONG_SIDE = 256  # sharpness is measured at this size, so that larger photos are comparable
FINE, COARSE = 1.0, 4.0  # sd in pixels of two Gaussian filters: details, and what they are compared with
FLAT_SD = 3.0  # grey values: below this, a photo shows nothing
DARK = 50.0  # grey value: a photo is dark if even its brightest tenth is below
BLUR_SPREADS = 1.8  # the distance from the median to the 5 % quantile, times this, is still no blur
SIZE_DEVIATIONS = 6.0  # robust standard deviations; a normal distribution has 1 in 10^9 beyond
SIZE_FACTOR = {"area": 1.5, "aspect": 1.1}  # smaller differences never count

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


def quality_measures(image_HWC: Pixels) -> Floats:
    """Return the MEASURES (7,) float32 of a photo, uint8 RGB.

    height, width  pixels.
    brightness     90 % quantile of the grey values, 0..255.
    contrast       standard deviation of the grey values.
    sharpness      logarithm of the variance of the photo's finest details (sd below 1 pixel, where the longer side has
                   at most 256) divided by that of coarser ones (sd 1 to 4). Unlike the variance of the Laplacian
                   (Pech-Pacheco et al. 2000, ICPR 15), it depends little on contrast, light and scene.
    redness        mean of red minus green; blueness: mean of blue minus green.
    """
    grey = np.asarray(cv2.cvtColor(image_HWC, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    red, green, blue = (float(one) for one in image_HWC.reshape(-1, 3).mean(axis=0))
    quantile, deviation = float(np.quantile(grey, 0.9)), float(grey.std())
    height, width = grey.shape
    values = (height, width, quantile, deviation, _sharpness(grey), red - green, blue - green)
    return np.array(values, dtype=np.float32)


def quality_faults(measures: Mapping[Measure, Values]) -> dict[Fault, Mask]:
    """Return which photos (N,) bool have each fault; a blank one has no other than its size.

    blank     a standard deviation of the grey values below 3.
    dark      brightness below 50.
    blurred   sharpness further below the median than 1.8 times the distance from the median to the 5 % quantile. In
              three sets of drawn and real faces, that is 0 or 1 photo in 1,000, and 93 % or more of photos that were
              blurred by a Gaussian filter of 2 pixels, at 256 pixels per side.
    odd size  area or aspect ratio away from the median by 6 robust standard deviations (1.4826 times the median
              absolute deviation), and by a factor of 1.5 or 1.1.
    """
    height, width = measures["height"], measures["width"]
    blank = measures["contrast"] < FLAT_SD
    odd = _outlying(np.log(height * width), SIZE_FACTOR["area"])
    odd |= _outlying(np.log(height / width), SIZE_FACTOR["aspect"])
    dark = (measures["brightness"] < DARK) & ~blank
    return {"blank": blank, "dark": dark, "blurred": _blurred(measures["sharpness"], ~blank), "odd size": odd}


def by_name(measure_NM: Floats) -> dict[Measure, Values]:
    """Return the columns of `quality_measures` of N photos, float64."""
    return {name: measure_NM[:, i].astype(np.float64) for i, name in enumerate(MEASURES)}


def _sharpness(grey: NDArray[np.uint8]) -> float:
    scale = LONG_SIDE / max(grey.shape)
    if scale < 1:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    image = grey.astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(image, (0, 0), sd) for sd in (FINE, COARSE))
    return float(np.log(((image - fine).var() + 1e-3) / ((fine - coarse).var() + 1e-3)))


def _blurred(sharpness_N: Values, shown_N: Mask) -> Mask:
    if not shown_N.any():
        return np.zeros(len(shown_N), dtype=bool)
    median, low = np.quantile(sharpness_N[shown_N], (0.5, 0.05))
    return np.asarray((sharpness_N < median - BLUR_SPREADS * (median - low)) & shown_N)


def _outlying(log_N: Values, factor: float) -> Mask:
    distance = np.abs(log_N - np.median(log_N)) if len(log_N) else log_N
    spread = 1.4826 * float(np.median(distance)) if len(log_N) else 0.0
    return np.asarray(distance > max(SIZE_DEVIATIONS * spread, np.log(factor)))
