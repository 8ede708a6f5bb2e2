"""A canvas in face units, and functions that paint shapes, lines and soft spots on it.

A `Canvas` holds the map from face units to pixels and a small turn of the head, which moves points near the middle of
the face further than points near its rim.

H, W height and width in pixels, 3 colour (RGB), P points, 2 is x and y, K control points, S steps of a curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]
SUBPIXEL_BITS = 4
FAINTEST = 0.02
DEPTH_2 = np.array([1 / 1.1**2, 1 / 1.6**2])
MIRROR = np.array([-1.0, 1.0])
# Weights of four neighbouring control points for each of S steps along a Catmull-Rom segment.
_STEP = np.linspace(0.0, 1.0, 6, endpoint=False)[:, None] ** np.arange(4)
SPLINE_S4 = 0.5 * _STEP @ np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]])


@dataclass(frozen=True)
class Canvas:
    """Pixels to paint on, and the position of the head in them.

    pixels_HW3  uint8 RGB, painted in place.
    matrix_23   map from face units to pixels.
    turn_2      how far the middle of the face moves right and down, in face units.
    unit_px     length of one face unit in pixels.
    """

    pixels_HW3: Pixels
    matrix_23: Floats
    turn_2: Floats
    unit_px: float


def mix(a: Sequence[float], b: Sequence[float], share: float) -> Colour:
    """Return the colour (1 - share) * a + share * b.

    >>> mix((0, 0, 0), (100, 200, 40), 0.5)
    (50.0, 100.0, 20.0)
    """
    red, green, blue = (float(p + (q - p) * share) for p, q in zip(a, b, strict=True))
    return red, green, blue


def shade(colour: Sequence[float], gain: float) -> Colour:
    red, green, blue = (float(min(255.0, part * gain)) for part in colour)
    return red, green, blue


def curve(control: Any, *, closed: bool = False) -> Floats:
    """Return points (P, 2) of the Catmull-Rom spline through the control points (K, 2)."""
    control_K2 = np.asarray(control, dtype=np.float64)
    count = len(control_K2)
    order = np.arange(-1, count + (2 if closed else 1))
    padded = control_K2[order % count if closed else np.minimum(np.maximum(order, 0), count - 1)]
    windows = np.stack([padded[i : len(padded) - 3 + i] for i in range(4)], axis=1)
    points = (SPLINE_S4 @ windows).reshape(-1, 2)
    return points if closed else np.concatenate([points, control_K2[-1:]])


def mirrored(right_K2: Any) -> Floats:
    """Return a closed outline: a right half, given from top to bottom, and its mirror image."""
    right = np.asarray(right_K2, dtype=np.float64)
    return np.concatenate([right, right[::-1] * MIRROR])


def both_sides(points: Any) -> list[Floats]:
    """Return a shape and its mirror image."""
    right = np.asarray(points, dtype=np.float64)
    return [right, right * MIRROR]


def ellipse(centre: tuple[float, float], radii: tuple[float, float], count: int = 24) -> Floats:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1)


def place(canvas: Canvas, points_P2: Any) -> Floats:
    """Return pixel positions (P, 2) of points in face units, after turning the head."""
    points = np.asarray(points_P2, dtype=np.float64)
    depth_P = np.sqrt(np.maximum(1 - (points * points) @ DEPTH_2, 0))
    placed: Floats = (points + depth_P[:, None] * canvas.turn_2) @ canvas.matrix_23[:, :2].T + canvas.matrix_23[:, 2]
    return placed


def window(pixels_HW3: Pixels, left: float, top: float, right: float, bottom: float) -> tuple[Pixels, int, int]:
    """Return a view of the image within these bounds, and its first x and y."""
    height, width = pixels_HW3.shape[:2]
    x, y = min(max(int(left), 0), width), min(max(int(top), 0), height)
    return pixels_HW3[y : max(y, min(int(bottom) + 1, height)), x : max(x, min(int(right) + 1, width))], x, y


def _ink(
    canvas: Canvas, shapes: Sequence[Any], colour: Sequence[float], *, alpha: float, thickness_px: int, closed: bool
) -> None:
    """Fill the outlines (thickness 0) or draw the lines, blended with the pixels below with weight `alpha`."""
    if alpha < FAINTEST:
        return
    placed = place(canvas, np.concatenate(shapes))
    (left, top), (right, bottom), pad = placed.min(axis=0), placed.max(axis=0), thickness_px + 2
    under, x, y = window(canvas.pixels_HW3, left - pad, top - pad, right + pad, bottom + pad)
    if not under.size:
        return
    over = under.copy()
    fixed = np.rint((placed - (x, y)) * 2**SUBPIXEL_BITS).astype(np.int32)
    ends = list(accumulate(len(shape) for shape in shapes))
    pieces = [fixed[end - len(shape) : end] for end, shape in zip(ends, shapes, strict=True)]
    if thickness_px:
        cv2.polylines(over, pieces, closed, colour, thickness_px, cv2.LINE_AA, SUBPIXEL_BITS)
    else:
        cv2.fillPoly(over, pieces, colour, cv2.LINE_AA, SUBPIXEL_BITS)
    under[:] = over if alpha >= 1 else cv2.addWeighted(over, alpha, under, 1 - alpha, 0)


def fill(canvas: Canvas, shapes: Sequence[Any], colour: Sequence[float], alpha: float = 1.0) -> None:
    _ink(canvas, shapes, colour, alpha=alpha, thickness_px=0, closed=True)


def stroke(
    canvas: Canvas,
    lines: Sequence[Any],
    colour: Sequence[float],
    width: float,
    alpha: float = 1.0,
    *,
    closed: bool = False,
) -> None:
    """Draw lines `width` face units wide; below one pixel they become more transparent instead of thinner."""
    width_px = width * canvas.unit_px
    thickness_px = max(1, round(width_px))
    _ink(canvas, lines, colour, alpha=alpha * min(1.0, width_px), thickness_px=thickness_px, closed=closed)


def glow(
    canvas: Canvas, centre: tuple[float, float], radii: tuple[float, float], colour: Sequence[float], alpha: float
) -> None:
    """Blend in a colour around a centre with a bell-shaped weight; at the radii about a third of it remains."""
    if alpha < FAINTEST:
        return
    (cx, cy), (rx, ry) = place(canvas, [centre])[0], (radius * canvas.unit_px for radius in radii)
    under, x, y = window(canvas.pixels_HW3, cx - 2 * rx, cy - 2 * ry, cx + 2 * rx, cy + 2 * ry)
    if not under.size:
        return
    bell_W = np.exp(-(((np.arange(x, x + under.shape[1]) - cx) / rx) ** 2), dtype=np.float32)
    bell_H = np.exp(-(((np.arange(y, y + under.shape[0]) - cy) / ry) ** 2), dtype=np.float32)
    weight_HW = np.outer(bell_H * np.float32(alpha), bell_W)
    over = np.full_like(under, np.round(colour))
    under[:] = cv2.blendLinear(over, under, weight_HW, 1 - weight_HW)
