"""A mask of one kind, worn correctly or incorrectly.

u runs across a mask from -1 to 1, v from its upper edge, 0, to its lower one, 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never, get_args

import numpy as np

from maskcls.data.drawn.canvas import Canvas, Colour, Floats, ellipse, fill, glow, mix, shade, stroke
from maskcls.data.drawn.look import CHIN_Y, Look, MaskKind, face_outline

Slip = Literal["nose", "chin", "ear", "eyes"]
SLIPS: tuple[Slip, ...] = get_args(Slip)
SLIP_SHARES = (0.55, 0.33, 0.07, 0.05)


@dataclass(frozen=True)
class _Shape:
    """The shape of a mask.

    droop  how far the upper edge falls towards the sides, in face units.
    lift   how far the lower edge rises towards the sides, in face units.
    width  as a share of the face's width.
    """

    droop: float
    lift: float
    width: float


SHAPES: dict[MaskKind, _Shape] = {
    "surgical": _Shape(0.13, 0.3, 0.95),
    "white": _Shape(0.13, 0.3, 0.95),
    "dark": _Shape(0.13, 0.3, 0.99),
    "print": _Shape(0.13, 0.3, 0.95),
    "cup": _Shape(0.22, 0.42, 0.84),
    "boat": _Shape(0.16, 0.3, 0.9),
}


def paint_mask(canvas: Canvas, look: Look, kind: MaskKind, slip: Slip | None, rng: np.random.Generator) -> None:
    """Paint a mask with its straps.

    slip  None: worn correctly; else below the nose, on the chin, hanging from one ear, or over the eyes.
    """
    places: dict[Slip | None, tuple[float, float]] = {
        None: (rng.normal(0.08, 0.03), CHIN_Y + 0.07),
        "nose": (rng.uniform(0.5, 0.58), CHIN_Y + 0.14),
        "chin": (rng.uniform(0.86, 0.95), CHIN_Y + 0.2),
        "ear": (0.1, CHIN_Y),
        "eyes": (-0.45, 0.28),
    }
    grid = _mask_grid(look, SHAPES[kind], *places[slip])
    side = int(rng.choice([-1, 1]))
    if slip == "ear":
        grid = _hang(grid, side)
    colour = _mask_colour(kind, rng)
    _paint_straps(canvas, grid, colour, sides=(side,) if slip == "ear" else (-1, 1))
    outline = np.concatenate([grid[0], grid[1:-1, -1], grid[-1, ::-1], grid[-2:0:-1, 0]])
    fill(canvas, [outline + np.array([0.0, 0.05])], shade(look.skin, 0.5), 0.35)
    fill(canvas, [outline], colour)
    _paint_fabric(canvas, grid, kind, colour, rng)
    stroke(canvas, [outline], shade(colour, 0.7), 0.02, 0.6, closed=True)


def _mask_colour(kind: MaskKind, rng: np.random.Generator) -> Colour:
    """Return the main colour of a mask of this kind."""
    match kind:
        case "surgical":
            return mix((150, 195, 225), (175, 225, 220), rng.random())
        case "dark":
            return mix((22, 22, 26), (70, 62, 82), rng.random())
        case "print":
            red, green, blue = rng.uniform(70, 225, 3)
            return red, green, blue
        case "boat" if rng.random() < 0.35:
            return 38, 38, 42
        case "white" | "cup" | "boat":
            return mix((226, 226, 224), (248, 248, 250), rng.random())
        case _:
            assert_never(kind)


def _mask_grid(look: Look, shape: _Shape, top: float, bottom: float, rows: int = 13, columns: int = 15) -> Floats:
    """Return a grid of points (rows, columns, 2) over a mask, from its upper to its lower edge."""
    v, u = np.linspace(0, 1, rows)[:, None], np.linspace(-1, 1, columns)[None, :]
    upper = top + shape.droop * np.abs(u) ** 1.6
    lower = bottom - shape.lift * np.abs(u) ** 2.2 * min(1.0, (bottom - top) / 0.8)
    y = upper + (lower - upper) * v
    limit = np.interp(np.minimum(y[:, -1:], 1.02), *face_outline(look).T[::-1])
    x = u * shape.width * np.maximum(limit, 0.45) * (1 - 0.08 * v)
    return np.stack([x, np.broadcast_to(y, x.shape)], axis=2)


def _hang(grid: Floats, side: int) -> Floats:
    """Rotate a mask about the ear on one side, so that it hangs beside the cheek."""
    ear = np.array([side * 1.02, 0.15])
    angle = side * 1.25
    cos, sin = np.cos(angle), np.sin(angle)
    start = grid[0, -1 if side > 0 else 0]
    turned: Floats = (grid - start) * [0.8, 0.75] @ np.array([[cos, -sin], [sin, cos]]) + ear
    return turned


def _paint_straps(canvas: Canvas, grid: Floats, colour: Colour, *, sides: tuple[int, ...]) -> None:
    """Paint two bands from each side of the mask to the ear."""
    lines = []
    for side in sides:
        column = -1 if side > 0 else 0
        lines += [[grid[1, column], (side * 1.03, -0.12)], [grid[-3, column], (side * 1.03, 0.16)]]
    stroke(canvas, lines, mix(colour, (235, 235, 235), 0.5), 0.04, 0.95)


def _paint_fabric(canvas: Canvas, grid: Floats, kind: MaskKind, colour: Colour, rng: np.random.Generator) -> None:
    """Paint pleats, seams, folds or a printed pattern."""
    fold, lit = shade(colour, 0.8), mix(colour, (255, 255, 255), 0.25)
    middle = grid.shape[1] // 2
    glow(canvas, tuple(grid[5, middle]), (0.35, 0.3), lit, 0.45)
    match kind:
        case "surgical" | "white":
            stroke(canvas, list(grid[[4, 6, 8]]), fold, 0.03, 0.9)
            stroke(canvas, [grid[1, 3:-3]], mix(colour, (255, 255, 255), 0.6), 0.04, 0.8)
        case "cup":
            stroke(canvas, list(grid[[2, 10]]), fold, 0.03, 0.7)
            valve = ellipse(tuple(grid[7, middle + 3]), (0.11, 0.1), 14)
            fill(canvas, [valve], mix(colour, (150, 160, 175), rng.random()))
        case "boat":
            fill(canvas, [np.concatenate([grid[0], grid[4, ::-1]])], shade(colour, 0.9), 0.7)
            stroke(canvas, list(grid[[4, 9]]), fold, 0.03, 0.9)
        case "dark":
            stroke(canvas, [grid[:, middle]], mix(colour, (160, 160, 165), 0.35), 0.03, 0.8)
        case "print":
            spots = grid[2:-2:3, 2:-2:3].reshape(-1, 2) + rng.normal(0, 0.02, 2)
            fill(canvas, [ellipse(tuple(spot), (0.055, 0.05), 8) for spot in spots], rng.uniform(30, 250, 3).tolist())
        case _:
            assert_never(kind)
