"""Test-time augmentation: views of a batch by name.

A view maps normalised images (B, 3, H, W) to images of the same shape and dtype. One name may mean several views; their
probabilities are averaged. The names are defined in `viewnames`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from maskcls.viewnames import parse_views

ViewFunction = Callable[[Tensor], Tensor]

ZOOM = 0.9  # share of each side that is kept by `zoomed`
SHIFT = 0.04  # share of the side


def identity(images_BCHW: Tensor) -> Tensor:
    """Return the images as they are."""
    return images_BCHW


def hflip(images_BCHW: Tensor) -> Tensor:
    """Mirror left and right."""
    return images_BCHW.flip(3)


def zoom(images_BCHW: Tensor, share: float = ZOOM) -> Tensor:
    """Enlarge the central part, this share of each side, to the full size."""
    height, width = images_BCHW.shape[2:]
    rows, columns = round(height * share), round(width * share)
    top, left = (height - rows) // 2, (width - columns) // 2
    central = images_BCHW[:, :, top : top + rows, left : left + columns]
    return F.interpolate(central, size=(height, width), mode="bilinear", align_corners=False)


def shifted(images_BCHW: Tensor, *, down: int, right: int) -> Tensor:
    """Move the content by `down` and `right` pixels; new pixels at the border repeat the edge."""
    height, width = images_BCHW.shape[2:]
    padded = F.pad(images_BCHW, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)), mode="replicate")
    top, left = max(-down, 0), max(-right, 0)
    return padded[:, :, top : top + height, left : left + width]


def _shift(vertical: int, horizontal: int) -> ViewFunction:
    def view(images_BCHW: Tensor) -> Tensor:
        height, width = images_BCHW.shape[2:]
        return shifted(images_BCHW, down=vertical * round(SHIFT * height), right=horizontal * round(SHIFT * width))

    return view


def _zoom(share: float, *, mirror: bool = False) -> ViewFunction:
    def view(images_BCHW: Tensor) -> Tensor:
        zoomed = zoom(images_BCHW, share)
        return hflip(zoomed) if mirror else zoomed

    return view


SINGLE: dict[str, ViewFunction] = {
    "none": identity,
    "flip": hflip,
    "zoomed": _zoom(ZOOM),
    "flip_zoomed": _zoom(ZOOM, mirror=True),
    "zoomed_80": _zoom(0.8),
    "flip_zoomed_80": _zoom(0.8, mirror=True),
    "zoomed_70": _zoom(0.7),
    "flip_zoomed_70": _zoom(0.7, mirror=True),
    "up": _shift(-1, 0),
    "down": _shift(1, 0),
    "left": _shift(0, -1),
    "right": _shift(0, 1),
}


def views_of(name: str) -> tuple[ViewFunction, ...]:
    """Return the views that a name means; ValueError for an unknown name."""
    return tuple(SINGLE[single] for single in parse_views(name))
