"""The size of the network's input for photos of given sizes.

Networks halve an image five times, so sides are multiples of 32 pixels. More pixels than a photo has give nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

STEP = 32
LONGEST = 12 * STEP
FEWEST_SIDE = 2 * STEP  # pixels: at 32 x 32, the last layers of a network see a single pixel
SQUARE = 1.15  # a ratio of the sides up to this is square enough


def propose_size(sizes: Sequence[tuple[int, int]], most_pixels: int) -> tuple[int, int]:
    """Return the (height, width) in pixels of the input: the shape of the median photo, at most `most_pixels`.

    sizes  (height, width) in pixels of some photos, one at least.

    Both sides are multiples of STEP. Among those with the nearest shape, the largest is taken that has no more pixels
    than the median photo, or is the smallest.

    >>> [propose_size([size], 128 * 128) for size in ((512, 384), (240, 250), (28, 28))]
    [(128, 96), (128, 128), (64, 64)]
    """
    height, width = (float(side) for side in np.median(np.asarray(sizes), axis=0))
    aspect = 1.0 if 1 / SQUARE <= height / width <= SQUARE else height / width
    limit = max(min(float(most_pixels), height * width), FEWEST_SIDE**2)
    sides = range(FEWEST_SIDE, LONGEST + 1, STEP)
    fitting = [(h, w) for h in sides for w in sides if h * w <= limit]
    return min(fitting, key=lambda size: _cost(size, aspect, limit))


def _cost(size: tuple[int, int], aspect: float, limit: float) -> float:
    """Return how far a size is from the shape, and how many pixels it leaves unused, both as logarithms."""
    height, width = size
    return abs(math.log(height / width / aspect)) + 0.5 * math.log(limit / (height * width))


def describe_sizes(sizes: Sequence[tuple[int, int]]) -> str:
    """Describe the sizes of photos in one line.

    >>> describe_sizes([(512, 384), (512, 384)])
    'all 512 x 384 pixels'
    >>> describe_sizes([(512, 384), (512, 384), (300, 400)])
    'median 512 x 384 pixels, heights 300 to 512, widths 384 to 400; 67 % portrait, 33 % landscape'
    """
    array = np.asarray(sizes)
    if (array == array[0]).all():
        return f"all {array[0][0]} x {array[0][1]} pixels"
    low, middle, high = array.min(axis=0), np.median(array, axis=0), array.max(axis=0)
    ratio = array[:, 0] / array[:, 1]
    shapes = {
        "portrait": float((ratio > SQUARE).mean()),
        "square": float(((ratio <= SQUARE) & (ratio >= 1 / SQUARE)).mean()),
        "landscape": float((ratio < 1 / SQUARE).mean()),
    }
    named = ", ".join(f"{share:.0%} {name}".replace("%", " %") for name, share in shapes.items() if share)
    return (
        f"median {middle[0]:.0f} x {middle[1]:.0f} pixels, heights {low[0]} to {high[0]}, "
        f"widths {low[1]} to {high[1]}; {named}"
    )
