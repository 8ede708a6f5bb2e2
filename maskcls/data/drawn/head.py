"""The head without hair and mask: ears, skin, eyes, nose, mouth, and signs of age."""

from __future__ import annotations

import cv2
import numpy as np

from maskcls.data.drawn.canvas import (
    Canvas,
    Floats,
    both_sides,
    curve,
    ellipse,
    fill,
    glow,
    mirrored,
    mix,
    place,
    shade,
    stroke,
    window,
)
from maskcls.data.drawn.look import EYE_Y, MOUTH_Y, NOSE_Y, Look, face_outline


def paint_head(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Paint ears and skin, shaded from one side, rougher with age."""
    skin = look.skin
    ear = [(0.98, -0.25), (1.12, -0.28), (1.15, -0.08), (1.08, 0.2), (0.96, 0.22)]
    fill(canvas, both_sides(curve(ear, closed=True)), shade(skin, 0.88))
    stroke(canvas, both_sides(ear[1:4]), shade(skin, 0.65), 0.03, 0.5)
    if look.earrings:
        fill(canvas, both_sides(ellipse((1.08, 0.3), (0.05, 0.07), 10)), (235, 225, 170))
    outline = curve(mirrored(face_outline(look).tolist())[:-1], closed=True)
    fill(canvas, [outline], skin)
    _roughen(canvas, outline, look, rng)
    light = rng.normal(0, 0.5)
    for side in (-1, 1):
        strength = 0.3 - 0.25 * side * np.tanh(light)
        glow(canvas, (side * 0.95, 0.3), (0.28, 0.8), shade(skin, 0.72), strength)
        glow(canvas, (side * 0.52, 0.32), (0.28, 0.2), (225, 110, 105), 0.1 + 0.16 * look.makeup)
    glow(canvas, (0.1 * light, -0.6), (0.5, 0.25), shade(skin, 1.12), 0.45)


def _roughen(canvas: Canvas, outline_P2: Floats, look: Look, rng: np.random.Generator) -> None:
    """Add noise to the face; its strength grows with the age spots."""
    placed = place(canvas, outline_P2)
    face, x, y = window(canvas.pixels_HW3, *placed.min(axis=0), *placed.max(axis=0))
    height, width = face.shape[:2]
    coarse = rng.standard_normal((height // 3 + 1, width // 3 + 1), dtype=np.float32) * (1.5 + 9 * look.spots)
    grain = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    cover = np.zeros((height, width), np.float32)
    cv2.fillPoly(cover, [np.rint(placed - (x, y)).astype(np.int32)], 1.0)
    face[:] = cv2.add(face, cv2.merge([grain * cover] * 3), dtype=cv2.CV_8U)


def paint_eyes(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Paint eyes and eyebrows; the lids droop with age, the gaze differs between photos."""
    size, x, y = look.eye_size, look.eye_gap, EYE_Y
    open_ = size * (0.5 - 0.17 * look.sag) * rng.uniform(0.85, 1.1)
    gaze = np.array([rng.normal(0, 0.2) * size, 0.0])
    dark = mix(shade(look.skin, 0.35), (25, 18, 18), 0.3 + 0.6 * look.makeup)
    almond = [(x - size, y + 0.03), (x - 0.2 * size, y - open_), (x + 0.5 * size, y - 0.8 * open_),
              (x + size, y - 0.03 + 0.09 * look.sag), (x, y + 0.75 * open_)]  # fmt: skip
    for side in (-1, 1):
        hollow = mix(look.skin, (120, 70, 80), 0.6)
        glow(canvas, (side * x, y - 0.08), (size * 1.3, 0.14), hollow, 0.3 + 0.4 * look.makeup)
    fill(canvas, both_sides(curve(almond, closed=True)), (244, 242, 238))
    irises = both_sides(ellipse((x, y - 0.02), (0.45 * size, min(0.45 * size, open_)), 16))
    fill(canvas, [iris + gaze for iris in irises], (52, 33, 24))
    fill(canvas, [iris * 0.12 + iris.mean(axis=0) * 0.88 + gaze + [0.04, -0.03] for iris in irises], (250, 250, 250))
    stroke(canvas, both_sides(curve(almond[:4])), dark, 0.025 + 0.035 * look.makeup)
    brow = [(x - 0.26, y - 0.28), (x, y - 0.35), (x + 0.2, y - 0.33), (x + 0.34, y - 0.25 + 0.07 * look.sag)]
    hair = mix(mix(look.hair, (30, 22, 20), 0.4), (170, 168, 165), 0.6 * look.grey)
    stroke(canvas, both_sides(curve(brow)), hair, look.brow, 0.85)


def paint_nose_and_mouth(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Paint nose, stubble and lips; the smile differs between photos."""
    dark, wide = shade(look.skin, 0.62), look.nose_width
    glow(canvas, (0.0, 0.15), (0.09, 0.3), shade(look.skin, 1.16), 0.6)
    glow(canvas, (0.0, NOSE_Y + 0.05), (wide * 1.2, 0.08), dark, 0.75)
    wing = [(0.0, NOSE_Y + 0.06), (wide * 0.9, NOSE_Y + 0.03), (wide, NOSE_Y - 0.08)]
    stroke(canvas, both_sides(curve(wing)), dark, 0.03, 0.8)
    stroke(canvas, [curve([(-0.1, -0.1), (-0.08, 0.15), (-wide * 0.9, NOSE_Y - 0.1)])], dark, 0.03, 0.3)
    nostril = ellipse((wide * 0.45, NOSE_Y + 0.02), (0.05, 0.028), 10)
    fill(canvas, both_sides(nostril), shade(look.skin, 0.35), 0.9)
    if look.stubble > 0:
        glow(canvas, (0.0, 0.98), (0.62, 0.24), (60, 62, 70), 0.62 * look.stubble)
        glow(canvas, (0.0, 0.57), (0.33, 0.06), (60, 62, 70), 0.62 * look.stubble)
    half, smile, open_ = 0.31, rng.normal(0.02, 0.03), look.lip_height
    left, right, y = (-half, MOUTH_Y - smile), (half, MOUTH_Y - smile), MOUTH_Y
    upper = [left, (-0.1, y - open_), (0.0, y - 0.8 * open_), (0.1, y - open_), right, (0.0, y + 0.02)]
    lower = [left, (0.0, y), right, (0.14, y + 1.2 * open_), (-0.14, y + 1.2 * open_)]
    fill(canvas, [curve(upper, closed=True)], shade(look.lips, 0.88))
    fill(canvas, [curve(lower, closed=True)], look.lips)
    stroke(canvas, [curve([left, (0.0, y + 0.02), right])], shade(look.lips, 0.45), 0.03, 0.9)


def paint_age(canvas: Canvas, look: Look) -> None:
    """Paint wrinkles of the forehead, around the eyes and beside the mouth, eye bags, and spots."""
    dark, depth = mix(shade(look.skin, 0.62), (120, 70, 60), 0.25), look.wrinkles
    halves = ((0.52, -0.76), (0.46, -0.65), (0.4, -0.55))
    brow = [curve([(-half, y + 0.03), (-0.2, y), (0.2, y + 0.01), (half, y + 0.04)]) for half, y in halves]
    stroke(canvas, brow, dark, 0.028, min(0.8, 0.9 * depth))
    x, bag_y = look.eye_gap, EYE_Y + 0.18
    for side in (-1, 1):
        glow(canvas, (side * x, EYE_Y + 0.22), (0.2, 0.08), mix(dark, (100, 65, 95), 0.3), 0.7 * depth)
        glow(canvas, (side * 0.36, 0.56), (0.1, 0.14), dark, 0.3 * depth)
    bag = curve([(x - 0.2, bag_y), (x, bag_y + 0.08), (x + 0.22, bag_y)])
    fold = curve([(0.22, NOSE_Y - 0.02), (0.38, 0.54), (0.44, MOUTH_Y + 0.02 + 0.1 * look.sag)])
    stroke(canvas, [*both_sides(bag), *both_sides(fold)], dark, 0.028, 0.95 * depth)
    stroke(canvas, both_sides([(0.39, MOUTH_Y + 0.1), (0.42, 0.95)]), dark, 0.028, 0.8 * look.sag)
    feet = [[(0.76, EYE_Y + 0.5 * dy), (0.9, EYE_Y + 1.3 * dy)] for dy in (-0.1, 0.0, 0.1)]
    stroke(canvas, [line for foot in feet for line in both_sides(foot)], dark, 0.025, 0.8 * depth)
    _paint_spots(canvas, look)


def _paint_spots(canvas: Canvas, look: Look) -> None:
    """Paint dark spots on forehead and cheeks, at the same places in every photo of a person."""
    room = np.random.default_rng(look.scene)
    for _ in range(int(9 * look.spots)):
        x, y = room.uniform(-0.75, 0.75), room.choice([room.uniform(-0.9, -0.5), room.uniform(0.15, 0.6)])
        glow(canvas, (x, y), (0.05, 0.045), (140, 95, 70), 0.5)
