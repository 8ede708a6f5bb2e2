"""Where a training view comes from: its outline on the photo, and the boxes that are hidden or pasted in it.

Points are (x, y) in pixels, 0 at the left or upper edge of the first pixel. Boxes are (top, left, bottom, right), the
last two exclusive. H height, W width of the view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskcls.data.views.draws import Draws
from maskcls.data.views.transforms import ViewSpec, crop_window

Points = NDArray[np.float64]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ViewMarks:
    """What was drawn for one training view.

    outline  (4, 2) corners of the view on the photo, clockwise from its upper left corner; a flip exchanges sides.
    moved    whether the outline differs from the crop of the validation view.
    hidden   boxes of Cutout and random erasing in the view.
    """

    outline: Points
    moved: bool
    hidden: tuple[Box, ...]


def crop_outline(spec: ViewSpec, photo: tuple[int, int]) -> Points:
    """Return the corners (4, 2) of the validation view on a photo of this size (height, width)."""
    rows, columns = crop_window(photo, spec)
    return _corners(columns.start, rows.start, columns.stop, rows.stop)


def view_marks(draws: Draws, place: int, spec: ViewSpec, photo: tuple[int, int]) -> ViewMarks:
    """Return what was drawn for one image of a batch, whose photo has this size (height, width)."""
    height, width = spec.size
    rows, columns = crop_window(photo, spec)
    corners = _corners(0, 0, width, height) - 0.5  # `source` counts from the centre of the first pixel
    inside = corners @ draws.source[place, :, :2].T + draws.source[place, :, 2] + 0.5
    scale = np.array([(columns.stop - columns.start) / width, (rows.stop - rows.start) / height])
    outline = inside * scale + [columns.start, rows.start]
    boxes = [draws.box[place].tolist(), *draws.erased[place].tolist()]
    hidden = [(top, left, bottom, right) for top, left, bottom, right in boxes if bottom]
    return ViewMarks(outline, bool(draws.moved[place]), tuple(hidden))


def showing_boxes(own: tuple[Box, ...], partner: tuple[Box, ...], pasted: Box | None) -> tuple[Box, ...]:
    """Return the hidden boxes that show in a mixed view: own ones that the pasted box does not cover, and the
    partner's parts inside it. None: nothing is pasted, both images show everywhere.
    """
    if pasted is None:
        return own + partner
    parts = [part for box in partner if (part := _common(box, pasted))]
    return (*(box for box in own if _common(box, pasted) != box), *parts)


def _common(one: Box, other: Box) -> Box | None:
    top, left, bottom, right = (
        max(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        min(one[3], other[3]),
    )
    return (top, left, bottom, right) if top < bottom and left < right else None


def _corners(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=np.float64)
