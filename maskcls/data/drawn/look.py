"""The appearance of a drawn person, in face units, and the names of mask states and kinds.

The origin lies between the cheeks, x points right and y down, and half the width of the face is 1. K control points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from maskcls.data.drawn.canvas import Colour, Floats

State = Literal["wear", "incorrect", "normal"]
Garment = Literal["tee", "shirt", "hood"]
MaskKind = Literal["surgical", "white", "dark", "print", "cup", "boat"]
MASK_KINDS: tuple[MaskKind, ...] = get_args(MaskKind)

CHIN_Y, MOUTH_Y, NOSE_Y, EYE_Y, HAIRLINE_Y, CROWN_Y = 1.2, 0.72, 0.4, -0.12, -0.9, -1.35


@dataclass(frozen=True)
class Look:
    """The traits that are the same in all photos of a person. Lengths in face units, strengths and shares in [0, 1]."""

    skin: Colour
    hair: Colour
    lips: Colour
    cloth: Colour
    jaw: float
    face_length: float
    hair_length: float
    hair_volume: float
    fringe: float
    parting: float
    recede: float
    grey: float
    brow: float
    eye_size: float
    eye_gap: float
    nose_width: float
    lip_height: float
    stubble: float
    makeup: float
    wrinkles: float
    sag: float
    spots: float
    neck: float
    shoulders: float
    glasses: bool
    earrings: bool
    garment: Garment
    mask_order: tuple[MaskKind, ...]
    scene: int


def face_outline(look: Look) -> Floats:
    """Return the right half (K, 2) of the outline of the face, from crown to chin."""
    jaw, sag = look.jaw, look.sag
    return np.array(
        [
            (0.0, CROWN_Y), (0.56, -1.22), (0.88, -0.86), (0.99, -0.4), (0.98, 0.05), (0.93, 0.4),
            (jaw + 0.06 * sag, 0.74), (0.74 * jaw + 0.13 * sag, 1.0), (0.36 * jaw + 0.05 * sag, 1.16), (0.0, CHIN_Y),
        ]
    )  # fmt: skip


def _half_width(look: Look, y: float) -> float:
    profile = face_outline(look)
    return float(np.interp(y, profile[:, 1], profile[:, 0]))
