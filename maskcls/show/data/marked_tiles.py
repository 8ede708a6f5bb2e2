"""Photos and training views, enlarged, with outlines of crops, hidden boxes and pasted boxes drawn on them.

Points are (x, y) in pixels, boxes (top, left, bottom, right), as in `data.views.marks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from maskcls.data.views.marks import Box, Points
from maskcls.show.terminal.sheet import TILE_PX

FONT = cv2.FONT_HERSHEY_SIMPLEX  # digits only

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]  # red, green, blue

CROP: Colour = (255, 255, 255)
PASTED: Colour = (255, 150, 0)
HIDDEN: Colour = (0, 215, 255)
EPOCHS: tuple[Colour, ...] = (HIDDEN, (255, 225, 0), (255, 120, 200), (120, 255, 120), PASTED, (180, 160, 255))
EDGE: Colour = (0, 0, 0)  # around a line, so that it shows on any photo; many lines would hide the photo


def photo_tile(photo_HWC: Pixels, crop: Points, outlines: Mapping[int, Points], px: int = TILE_PX) -> Pixels:
    """Return a whole photo, its longer side `px`, with the validation crop and the outlines of training views.

    outlines  by epoch; its number stands at a corner, at another one for the next epoch.
    """
    height, width = photo_HWC.shape[:2]
    factor = px / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    tile = np.ascontiguousarray(cv2.resize(photo_HWC, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    for epoch, points in outlines.items():
        colour = EPOCHS[epoch % len(EPOCHS)]
        _line(tile, points * factor, colour)
        _number(tile, epoch, points[epoch % 4] * factor, colour)
    _outline(tile, crop * factor, CROP)
    return tile


def view_tile(view_HWC: Pixels, hidden: Sequence[Box], pasted: Box | None, px: int = TILE_PX) -> Pixels:
    """Return a view, its longer side `px`, enlarged without smoothing, with its boxes."""
    height, width = view_HWC.shape[:2]
    factor = px / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    tile = np.ascontiguousarray(cv2.resize(view_HWC, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    for box in hidden:
        _outline(tile, _corners(box) * factor, HIDDEN)
    if pasted is not None:
        _outline(tile, _corners(pasted) * factor, PASTED)
    return tile


def _corners(box: Box) -> Points:
    top, left, bottom, right = box
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=np.float64)


def _outline(tile: Pixels, points: Points, colour: Colour) -> None:
    _line(tile, points, EDGE, thickness=3)
    _line(tile, points, colour)


def _line(tile: Pixels, points: Points, colour: Colour, thickness: int = 1) -> None:
    height, width = tile.shape[:2]
    inside = np.rint(points)
    inside -= inside == [width, height]  # the far edges of the tile
    cv2.polylines(tile, [inside.astype(np.int32)], isClosed=True, color=colour, thickness=thickness)


def _number(tile: Pixels, number: int, at: Points, colour: Colour) -> None:
    x, y = (int(np.clip(value, 2, most - 14)) for value, most in zip(at, tile.shape[1::-1], strict=True))
    for shade, thickness in ((EDGE, 3), (colour, 1)):
        cv2.putText(tile, str(number), (x + 2, y + 12), FONT, 0.4, shade, thickness, cv2.LINE_AA)
