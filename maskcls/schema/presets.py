"""The named sets of image changes, one per value of `transforms.preset`."""

from __future__ import annotations

from typing import Any

_OFF: dict[str, Any] = {
    **dict.fromkeys(("hflip", "geometry", "colour", "saturation", "hue", "zoom", "cutout", "erasing"), 0.0),
    **dict.fromkeys(("grid_dropout", "gray", "clahe", "sharpen", "blur"), 0.0),
    "randaugment": 0,
}
_GEOMETRY, _COLOUR = ("geometry", "shift", "scale", "rotate_deg"), ("colour", "brightness", "contrast")
# Settings of each value of transforms.preset. `faces` is the set that worked in the contest: it changes colours little,
# because the colour of a mask carries information.
PRESETS: dict[str, dict[str, Any]] = {
    "none": _OFF,
    "light": _OFF
    | {"hflip": 0.5}
    | dict(zip(_GEOMETRY, (0.5, 0.05, 0.1, 10.0), strict=True))
    | dict(zip(_COLOUR, (0.5, 0.2, 0.2), strict=True)),
    "medium": _OFF
    | {"hflip": 0.5, "saturation": 0.15, "zoom": 0.3, "zoom_share": 0.85}
    | dict(zip(_GEOMETRY, (0.7, 0.08, 0.15, 15.0), strict=True))
    | dict(zip(_COLOUR, (0.7, 0.25, 0.25), strict=True))
    | {"erasing": 0.25, "erasing_boxes": 1, "erasing_area": [0.02, 0.15]},
    "strong": _OFF
    | {"hflip": 0.5, "saturation": 0.25, "hue": 0.02, "zoom": 0.5, "zoom_share": 0.75}
    | dict(zip(_GEOMETRY, (0.8, 0.1, 0.2, 20.0), strict=True))
    | dict(zip(_COLOUR, (0.8, 0.2, 0.25), strict=True))
    | {"erasing": 0.5, "erasing_boxes": 3, "erasing_area": [0.05, 0.3]}
    | {"randaugment": 1, "randaugment_magnitude": 4.0},
    "faces": _OFF
    | {"hflip": 0.5}
    | dict(zip(_GEOMETRY, (0.5, 0.05, 0.1, 8.0), strict=True))
    | dict(zip(_COLOUR, (0.5, 0.1, 0.1), strict=True))
    | {"cutout": 0.5, "cutout_size": 0.4, "erasing": 0.25, "erasing_boxes": 1, "erasing_area": [0.02, 0.1]},
}
