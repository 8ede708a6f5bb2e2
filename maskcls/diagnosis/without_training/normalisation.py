"""Have pixel values the mean and spread that the network's weights expect?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from maskcls.data.photos.rgb import Pixels
from maskcls.results.diagnosis.finding import Finding

# Weights from a training: constants of other packages differ by 1.1 times at most where they mean the same; values in
# 0..1 without normalisation have 1/4 of the spread with ImageNet's constants and 1/2 with (0.5, 0.5).
FACTOR, SHIFT = 1.5, 0.5
# Random weights learn from any values of about unit size, so they fail only far from that, where it was also not asked
# for: photos in 0..1 have a standard deviation of 0.15 to 0.35, in 0..255 of 40 to 90.
SMALLEST, LARGEST, FARTHEST = 0.4, 2.5, 2.0


def channel_statistics(images_BCHW: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and standard deviation (3,) of the pixel values of each channel."""
    images = images_BCHW.astype(np.float64)
    return images.mean(axis=(0, 2, 3)), images.std(axis=(0, 2, 3))


def expected_images(views_nHWC: Pixels, mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """Return views (n, H, W, 3) uint8 normalised with these constants, (n, 3, H, W) float32."""
    scaled = (views_nHWC.astype(np.float32) / 255 - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.moveaxis(scaled.astype(np.float32), 3, 1)


def check_normalisation(
    images_BCHW: NDArray[np.float32], expected_BCHW: NDArray[np.float32], network: str, *, trained: bool
) -> Finding:
    """Compare what the network gets with the same photos under the normalisation of its weights.

    trained  the weights come from an earlier training, so they expect these values.
    """
    (mean, std), (own_mean, own_std) = channel_statistics(images_BCHW), channel_statistics(expected_BCHW)
    if own_std.max() < 1e-3:
        return Finding("normalisation", "unknown", "the photos are blank", network=network)
    ratio, shift = float(np.exp(np.mean(np.log(std.clip(1e-9) / own_std.clip(1e-9))))), float((mean - own_mean).mean())
    values = {"mean": float(mean.mean()), "std": float(std.mean()), "std_ratio": ratio, "mean_shift": shift}
    found = (
        f"mean {values['mean']:.2f} and standard deviation {values['std']:.2f};"
        f" with the constants of the weights {own_mean.mean():.2f} and {own_std.mean():.2f}"
    )
    differs = abs(math.log(ratio)) > math.log(FACTOR) or abs(shift) > SHIFT
    far = not SMALLEST <= values["std"] <= LARGEST or abs(values["mean"]) > FARTHEST
    if differs and (trained or far):
        next = ("transforms.mean=auto transforms.std=auto",)
        return Finding("normalisation", "fail", found, "no normalisation", next, network, values)
    return Finding("normalisation", "pass", found, network=network, values=values)
