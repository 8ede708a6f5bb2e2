"""Everything except the head: its position in the photo, the background, neck, shoulders and clothes."""

from __future__ import annotations

from typing import assert_never

import cv2
import numpy as np

from maskcls.data.drawn.canvas import Canvas, Floats, both_sides, curve, fill, glow, mirrored, shade, stroke
from maskcls.data.drawn.look import Garment, Look

NECKLINE_Y: dict[Garment, float] = {"tee": 1.85, "shirt": 2.35, "hood": 1.95}


def place_head(size: tuple[int, int], look: Look, rng: np.random.Generator) -> Canvas:
    """Return an empty canvas; position, scale and rotation of the head are random, with the head inside the photo."""
    height, width = size
    unit = 0.25 * min(width, 0.75 * height) * rng.uniform(0.88, 1.1)
    roll = rng.normal(0, 0.05)
    x, y = width * (0.5 + rng.normal(0, 0.025)), height * (0.45 + rng.normal(0, 0.015))
    cos, sin = unit * np.cos(roll), unit * np.sin(roll)
    stretch = look.face_length
    matrix = np.array([[cos, -sin * stretch, x], [sin, cos * stretch, y]])
    turn = rng.normal(0, (0.09, 0.035))
    return Canvas(np.empty((height, width, 3), np.uint8), matrix, turn, float(unit))


def paint_background(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Paint the person's own background, slightly shifted: soft colours, shapes and sometimes a poster."""
    room = np.random.default_rng(look.scene)
    height, width = canvas.pixels_HW3.shape[:2]
    base = room.uniform(60, 225) + room.normal(0, 12, 3)
    coarse = np.clip(base + room.normal(0, room.uniform(4, 18), (4, 3, 3)), 0, 255).astype(np.uint8)
    canvas.pixels_HW3[:] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    moved = rng.normal(0, 0.03, 2) * [width, height]
    for _ in range(int(room.integers(0, 6))):
        corner = room.uniform(-0.2, 1, 2) * [width, height] + moved
        extent = room.uniform(0.05, 0.5, 2) * [width, height]
        colour = np.clip(base + room.normal(0, 32, 3), 0, 255).tolist()
        first, last = corner.astype(int).tolist(), (corner + extent).astype(int).tolist()
        if room.random() < 0.6:
            cv2.rectangle(canvas.pixels_HW3, first, last, colour, -1)
        else:
            cv2.circle(canvas.pixels_HW3, first, int(extent[0] / 2), colour, -1, cv2.LINE_AA)
    if room.random() < 0.12:
        _paint_poster(canvas, room, moved)
    blur_px = room.uniform(0.01, 0.03) * width
    canvas.pixels_HW3[:] = cv2.blur(canvas.pixels_HW3, (2 * int(blur_px) + 1,) * 2)


def _paint_poster(canvas: Canvas, room: np.random.Generator, moved: Floats) -> None:
    """Paint a poster with another face beside the head."""
    height, width = canvas.pixels_HW3.shape[:2]
    x, y = np.array([room.choice([0.1, 0.9]) * width, room.uniform(0.12, 0.3) * height]) + moved
    side = 0.11 * width
    first, last = (int(x - side), int(y - 1.3 * side)), (int(x + side), int(y + 1.3 * side))
    cv2.rectangle(canvas.pixels_HW3, first, last, room.uniform(40, 250, 3).tolist(), -1)
    face = (int(x), int(y)), (int(side * 0.55), int(side * 0.75))
    cv2.ellipse(canvas.pixels_HW3, *face, 0, 0, 360, (225, 185, 160), -1, cv2.LINE_AA)
    cv2.ellipse(canvas.pixels_HW3, *face, 0, 180, 360, room.uniform(20, 120, 3).tolist(), -1, cv2.LINE_AA)


def paint_body(canvas: Canvas, look: Look) -> None:
    """Paint neck, shoulders and clothes, down to the lower edge."""
    dark, cloth = shade(look.skin, 0.78), look.cloth
    neck, wide = look.neck, look.shoulders
    torso = curve([(neck, 1.5), (neck + 0.5, 1.72), (wide, 2.05), (wide + 0.2, 2.7), (wide + 0.25, 5.0)])
    if look.garment == "hood":
        hood = mirrored([(0, 1.0), (neck + 0.35, 1.2), (neck + 0.5, 1.75)])
        fill(canvas, [curve(hood, closed=True)], shade(cloth, 0.75))
    fill(canvas, [mirrored([(neck, 0.5), (neck, 1.5), (neck + 0.3, 1.8), (0.0, 2.3)])], dark)
    fill(canvas, [mirrored(torso)], cloth)
    opening = mirrored([(neck * 0.98, 1.35), (neck * 0.85, 1.62), (0.08, NECKLINE_Y[look.garment])])
    fill(canvas, [curve(opening, closed=True)], dark)
    glow(canvas, (0.0, 1.25), (0.6, 0.22), shade(look.skin, 0.55), 0.6)
    stroke(canvas, both_sides([(wide * 0.72, 2.5), (wide * 0.66, 4.5)]), shade(cloth, 0.8), 0.04, 0.7)
    match look.garment:
        case "tee":
            pass
        case "shirt":
            collar = [(neck, 1.42), (neck + 0.12, 1.72), (neck * 0.75, 2.1), (0.1, 2.35), (neck * 0.8, 1.7)]
            fill(canvas, both_sides(collar), shade(cloth, 1.18))
        case "hood":
            stroke(canvas, both_sides([(0.25, 1.95), (0.28, 2.6)]), shade(cloth, 1.4), 0.04)
        case _:
            assert_never(look.garment)
