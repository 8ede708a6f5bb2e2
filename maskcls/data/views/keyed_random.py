"""Random numbers as a pure function of seed, epoch and image key."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]


def uniforms(seed: int, epoch_B: NDArray[np.int64], key_B: Keys, count: int) -> NDArray[np.float64]:
    """Return uniform numbers in [0, 1), (B, count) float64, a pure function of (seed, epoch, key), by SplitMix64.

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators": a constant is added to the
    state, which is then hashed. One numpy generator per image would take as long as resampling the image.
    """
    root = np.full(len(key_B), seed, dtype=np.uint64)
    state = _scramble(_scramble(root + HOP) ^ epoch_B.astype(np.uint64))
    state = _scramble(state ^ key_B)
    hops = np.arange(1, count + 1, dtype=np.uint64) * HOP
    return (_scramble(state[:, None] + hops) >> np.uint64(11)).astype(np.float64) * 2.0**-53


HOP = np.array([0x9E3779B97F4A7C15], dtype=np.uint64)  # an array: numpy warns when a scalar overflows


def _scramble(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
