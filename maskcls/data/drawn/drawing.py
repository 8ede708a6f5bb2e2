"""Paint one photo of a drawn person: a look, a way of wearing the mask and a generator go in, pixels come out.

Everything on the head is given in face units: the origin lies between the cheeks, x points right and y down, and half
the width of the face is 1. A `Canvas` holds the map to pixels and a small turn of the head, which moves whatever lies
near the middle of the face further than its rim. Small photos are painted larger and shrunk at the end, so that a line
keeps its share of the face at every size.

H, W height and width in pixels, 3 colour (RGB), P points, 2 is x and y, K control points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]
State = Literal["wear", "incorrect", "normal"]

MASK_KINDS = ("surgical", "white", "dark", "print", "cup", "boat")
SLIPS = ("nose", "chin", "ear", "eyes")
SLIP_SHARES = (0.55, 0.33, 0.07, 0.05)

PAINT_HEIGHT_PX = 224
SUBPIXEL_BITS = 4
FAINTEST = 0.02
DEPTH_2 = np.array([1 / 1.1**2, 1 / 1.6**2])
CHIN_Y, MOUTH_Y, NOSE_Y, EYE_Y, HAIRLINE_Y, CROWN_Y = 1.2, 0.72, 0.4, -0.12, -0.9, -1.35
MIRROR = np.array([-1.0, 1.0])

# Weights of four neighbouring control points for each of S steps along a Catmull-Rom segment.
_STEP = np.linspace(0.0, 1.0, 6, endpoint=False)[:, None] ** np.arange(4)
SPLINE_S4 = 0.5 * _STEP @ np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]])


@dataclass(frozen=True)
class Look:
    """What stays the same over all photos of a person. Lengths are in face units, strengths and shares in [0, 1]."""

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
    garment: Literal["tee", "shirt", "hood"]
    mask_order: tuple[str, ...]
    scene: int


@dataclass(frozen=True)
class Canvas:
    """Pixels to paint on, and where the head lies on them.

    pixels_HW3  uint8 RGB, painted in place.
    matrix_23   map from face units to pixels.
    turn_2      how far the middle of the face moves right and down, in face units.
    unit_px     length of one face unit in pixels.
    """

    pixels_HW3: Pixels
    matrix_23: Floats
    turn_2: Floats
    unit_px: float


def draw_photo(look: Look, state: State, kind: str, *, rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """Draw one photo of a person.

    look   the person.
    state  how the mask is worn; `normal` draws none and ignores `kind`.
    kind   one of `MASK_KINDS`.
    rng    decides pose, light, mask colours, the kind of slip, blur and noise; the person stays as they are.
    size   height and width of the photo in pixels.

    Returns uint8 RGB of shape (H, W, 3).
    """
    factor = max(1, -(-PAINT_HEIGHT_PX // size[0]))
    canvas = _canvas((size[0] * factor, size[1] * factor), look, rng)
    _paint_background(canvas, look, rng)
    _paint_back_hair(canvas, look)
    _paint_body(canvas, look)
    _paint_head(canvas, look, rng)
    _paint_eyes(canvas, look, rng)
    _paint_nose_and_mouth(canvas, look, rng)
    _paint_age(canvas, look)
    if state != "normal":
        slip = "none" if state == "wear" else str(rng.choice(SLIPS, p=SLIP_SHARES))
        _paint_mask(canvas, look, kind, slip, rng)
    _paint_front_hair(canvas, look)
    if look.glasses:
        _paint_glasses(canvas, look)
    return _photograph(canvas.pixels_HW3, rng, size)


# ---- tools ----------------------------------------------------------------------------------------------------------


def mix(a: Sequence[float], b: Sequence[float], share: float) -> Colour:
    """Return the colour that lies `share` of the way from a to b.

    >>> mix((0, 0, 0), (100, 200, 40), 0.5)
    (50.0, 100.0, 20.0)
    """
    red, green, blue = (float(p + (q - p) * share) for p, q in zip(a, b, strict=True))
    return red, green, blue


def _shade(colour: Sequence[float], gain: float) -> Colour:
    red, green, blue = (float(min(255.0, part * gain)) for part in colour)
    return red, green, blue


def _curve(control: Any, *, closed: bool = False) -> Floats:
    """Return points (P, 2) of the Catmull-Rom spline through the control points (K, 2)."""
    control_K2 = np.asarray(control, dtype=np.float64)
    count = len(control_K2)
    order = np.arange(-1, count + (2 if closed else 1))
    padded = control_K2[order % count if closed else np.minimum(np.maximum(order, 0), count - 1)]
    windows = np.stack([padded[i : len(padded) - 3 + i] for i in range(4)], axis=1)
    points = (SPLINE_S4 @ windows).reshape(-1, 2)
    return points if closed else np.concatenate([points, control_K2[-1:]])


def _mirrored(right_K2: Any) -> Floats:
    """Close a right half, given from top to bottom, with its mirror image."""
    right = np.asarray(right_K2, dtype=np.float64)
    return np.concatenate([right, right[::-1] * MIRROR])


def _both_sides(points: Any) -> list[Floats]:
    """Return a shape and its mirror image."""
    right = np.asarray(points, dtype=np.float64)
    return [right, right * MIRROR]


def _ellipse(centre: tuple[float, float], radii: tuple[float, float], count: int = 24) -> Floats:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], axis=1)


def _place(canvas: Canvas, points_P2: Any) -> Floats:
    """Return pixel positions (P, 2) of points in face units, the head turned."""
    points = np.asarray(points_P2, dtype=np.float64)
    depth_P = np.sqrt(np.maximum(1 - (points * points) @ DEPTH_2, 0))
    placed: Floats = (points + depth_P[:, None] * canvas.turn_2) @ canvas.matrix_23[:, :2].T + canvas.matrix_23[:, 2]
    return placed


def _window(pixels_HW3: Pixels, left: float, top: float, right: float, bottom: float) -> tuple[Pixels, int, int]:
    """Return the part of the picture within these bounds, and where it begins: x, then y."""
    height, width = pixels_HW3.shape[:2]
    x, y = min(max(int(left), 0), width), min(max(int(top), 0), height)
    return pixels_HW3[y : max(y, min(int(bottom) + 1, height)), x : max(x, min(int(right) + 1, width))], x, y


def _ink(
    canvas: Canvas, shapes: Sequence[Any], colour: Sequence[float], *, alpha: float, thickness_px: int, closed: bool
) -> None:
    """Fill the outlines (thickness 0) or draw the lines, mixed into what is there with weight `alpha`."""
    if alpha < FAINTEST:
        return
    placed = _place(canvas, np.concatenate(shapes))
    (left, top), (right, bottom), pad = placed.min(axis=0), placed.max(axis=0), thickness_px + 2
    under, x, y = _window(canvas.pixels_HW3, left - pad, top - pad, right + pad, bottom + pad)
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


def _fill(canvas: Canvas, shapes: Sequence[Any], colour: Sequence[float], alpha: float = 1.0) -> None:
    _ink(canvas, shapes, colour, alpha=alpha, thickness_px=0, closed=True)


def _stroke(
    canvas: Canvas,
    lines: Sequence[Any],
    colour: Sequence[float],
    width: float,
    alpha: float = 1.0,
    *,
    closed: bool = False,
) -> None:
    """Draw lines `width` face units wide; below one pixel they get fainter instead of thinner."""
    width_px = width * canvas.unit_px
    thickness_px = max(1, round(width_px))
    _ink(canvas, lines, colour, alpha=alpha * min(1.0, width_px), thickness_px=thickness_px, closed=closed)


def _glow(
    canvas: Canvas, centre: tuple[float, float], radii: tuple[float, float], colour: Sequence[float], alpha: float
) -> None:
    """Mix a colour in around a centre, fading out like a bell; the radii are where a third of it is left."""
    if alpha < FAINTEST:
        return
    (cx, cy), (rx, ry) = _place(canvas, [centre])[0], (radius * canvas.unit_px for radius in radii)
    under, x, y = _window(canvas.pixels_HW3, cx - 2 * rx, cy - 2 * ry, cx + 2 * rx, cy + 2 * ry)
    if not under.size:
        return
    bell_W = np.exp(-(((np.arange(x, x + under.shape[1]) - cx) / rx) ** 2), dtype=np.float32)
    bell_H = np.exp(-(((np.arange(y, y + under.shape[0]) - cy) / ry) ** 2), dtype=np.float32)
    weight_HW = np.outer(bell_H * np.float32(alpha), bell_W)
    over = np.full_like(under, np.round(colour))
    under[:] = cv2.blendLinear(over, under, weight_HW, 1 - weight_HW)


# ---- scene ----------------------------------------------------------------------------------------------------------


def _canvas(size: tuple[int, int], look: Look, rng: np.random.Generator) -> Canvas:
    """Return an empty canvas with the head placed, scaled, rolled and turned at random, whole inside the frame."""
    height, width = size
    unit = 0.25 * min(width, 0.75 * height) * rng.uniform(0.88, 1.1)
    roll = rng.normal(0, 0.05)
    x, y = width * (0.5 + rng.normal(0, 0.025)), height * (0.45 + rng.normal(0, 0.015))
    cos, sin = unit * np.cos(roll), unit * np.sin(roll)
    stretch = look.face_length
    matrix = np.array([[cos, -sin * stretch, x], [sin, cos * stretch, y]])
    turn = rng.normal(0, (0.09, 0.035))
    return Canvas(np.empty((height, width, 3), np.uint8), matrix, turn, float(unit))


def _paint_background(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Fill the frame with the person's own room: soft colours, shapes and now and then a poster, seen a bit shifted."""
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
    """Hang up a picture with a face of its own beside the head."""
    height, width = canvas.pixels_HW3.shape[:2]
    x, y = np.array([room.choice([0.1, 0.9]) * width, room.uniform(0.12, 0.3) * height]) + moved
    side = 0.11 * width
    first, last = (int(x - side), int(y - 1.3 * side)), (int(x + side), int(y + 1.3 * side))
    cv2.rectangle(canvas.pixels_HW3, first, last, room.uniform(40, 250, 3).tolist(), -1)
    face = (int(x), int(y)), (int(side * 0.55), int(side * 0.75))
    cv2.ellipse(canvas.pixels_HW3, *face, 0, 0, 360, (225, 185, 160), -1, cv2.LINE_AA)
    cv2.ellipse(canvas.pixels_HW3, *face, 0, 180, 360, room.uniform(20, 120, 3).tolist(), -1, cv2.LINE_AA)


def _paint_body(canvas: Canvas, look: Look) -> None:
    """Neck, shoulders and clothes, down to the lower edge."""
    dark, cloth = _shade(look.skin, 0.78), look.cloth
    neck, wide = look.neck, look.shoulders
    torso = _curve([(neck, 1.5), (neck + 0.5, 1.72), (wide, 2.05), (wide + 0.2, 2.7), (wide + 0.25, 5.0)])
    if look.garment == "hood":
        hood = _mirrored([(0, 1.0), (neck + 0.35, 1.2), (neck + 0.5, 1.75)])
        _fill(canvas, [_curve(hood, closed=True)], _shade(cloth, 0.75))
    _fill(canvas, [_mirrored([(neck, 0.5), (neck, 1.5), (neck + 0.3, 1.8), (0.0, 2.3)])], dark)
    _fill(canvas, [_mirrored(torso)], cloth)
    depth = {"tee": 1.85, "shirt": 2.35, "hood": 1.95}[look.garment]
    opening = _mirrored([(neck * 0.98, 1.35), (neck * 0.85, 1.62), (0.08, depth)])
    _fill(canvas, [_curve(opening, closed=True)], dark)
    _glow(canvas, (0.0, 1.25), (0.6, 0.22), _shade(look.skin, 0.55), 0.6)
    _stroke(canvas, _both_sides([(wide * 0.72, 2.5), (wide * 0.66, 4.5)]), _shade(cloth, 0.8), 0.04, 0.7)
    if look.garment == "shirt":
        collar = [(neck, 1.42), (neck + 0.12, 1.72), (neck * 0.75, 2.1), (0.1, 2.35), (neck * 0.8, 1.7)]
        _fill(canvas, _both_sides(collar), _shade(cloth, 1.18))
    if look.garment == "hood":
        _stroke(canvas, _both_sides([(0.25, 1.95), (0.28, 2.6)]), _shade(cloth, 1.4), 0.04)


# ---- head -----------------------------------------------------------------------------------------------------------


def _profile(look: Look) -> Floats:
    """Return the right half (K, 2) of the outline of the face, from crown to chin."""
    jaw, sag = look.jaw, look.sag
    return np.array(
        [
            (0.0, CROWN_Y), (0.56, -1.22), (0.88, -0.86), (0.99, -0.4), (0.98, 0.05), (0.93, 0.4),
            (jaw + 0.06 * sag, 0.74), (0.74 * jaw + 0.13 * sag, 1.0), (0.36 * jaw + 0.05 * sag, 1.16), (0.0, CHIN_Y),
        ]
    )  # fmt: skip


def _half_width(look: Look, y: float) -> float:
    profile = _profile(look)
    return float(np.interp(y, profile[:, 1], profile[:, 0]))


def _paint_head(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Ears and the skin of the face, shaded from one side, rougher with age."""
    skin = look.skin
    ear = [(0.98, -0.25), (1.12, -0.28), (1.15, -0.08), (1.08, 0.2), (0.96, 0.22)]
    _fill(canvas, _both_sides(_curve(ear, closed=True)), _shade(skin, 0.88))
    _stroke(canvas, _both_sides(ear[1:4]), _shade(skin, 0.65), 0.03, 0.5)
    if look.earrings:
        _fill(canvas, _both_sides(_ellipse((1.08, 0.3), (0.05, 0.07), 10)), (235, 225, 170))
    outline = _curve(_mirrored(_profile(look).tolist())[:-1], closed=True)
    _fill(canvas, [outline], skin)
    _roughen(canvas, outline, look, rng)
    light = rng.normal(0, 0.5)
    for side in (-1, 1):
        strength = 0.3 - 0.25 * side * np.tanh(light)
        _glow(canvas, (side * 0.95, 0.3), (0.28, 0.8), _shade(skin, 0.72), strength)
        _glow(canvas, (side * 0.52, 0.32), (0.28, 0.2), (225, 110, 105), 0.1 + 0.16 * look.makeup)
    _glow(canvas, (0.1 * light, -0.6), (0.5, 0.25), _shade(skin, 1.12), 0.45)


def _roughen(canvas: Canvas, outline_P2: Floats, look: Look, rng: np.random.Generator) -> None:
    """Lay a grain over the face whose strength grows with the spots of age."""
    placed = _place(canvas, outline_P2)
    face, x, y = _window(canvas.pixels_HW3, *placed.min(axis=0), *placed.max(axis=0))
    height, width = face.shape[:2]
    coarse = rng.standard_normal((height // 3 + 1, width // 3 + 1), dtype=np.float32) * (1.5 + 9 * look.spots)
    grain = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    cover = np.zeros((height, width), np.float32)
    cv2.fillPoly(cover, [np.rint(placed - (x, y)).astype(np.int32)], 1.0)
    face[:] = cv2.add(face, cv2.merge([grain * cover] * 3), dtype=cv2.CV_8U)


def _paint_eyes(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Eyes and brows; the lids come down with age, the gaze wanders from photo to photo."""
    size, x, y = look.eye_size, look.eye_gap, EYE_Y
    open_ = size * (0.5 - 0.17 * look.sag) * rng.uniform(0.85, 1.1)
    gaze = np.array([rng.normal(0, 0.2) * size, 0.0])
    dark = mix(_shade(look.skin, 0.35), (25, 18, 18), 0.3 + 0.6 * look.makeup)
    almond = [(x - size, y + 0.03), (x - 0.2 * size, y - open_), (x + 0.5 * size, y - 0.8 * open_),
              (x + size, y - 0.03 + 0.09 * look.sag), (x, y + 0.75 * open_)]  # fmt: skip
    for side in (-1, 1):
        hollow = mix(look.skin, (120, 70, 80), 0.6)
        _glow(canvas, (side * x, y - 0.08), (size * 1.3, 0.14), hollow, 0.3 + 0.4 * look.makeup)
    _fill(canvas, _both_sides(_curve(almond, closed=True)), (244, 242, 238))
    irises = _both_sides(_ellipse((x, y - 0.02), (0.45 * size, min(0.45 * size, open_)), 16))
    _fill(canvas, [iris + gaze for iris in irises], (52, 33, 24))
    _fill(canvas, [iris * 0.12 + iris.mean(axis=0) * 0.88 + gaze + [0.04, -0.03] for iris in irises], (250, 250, 250))
    _stroke(canvas, _both_sides(_curve(almond[:4])), dark, 0.025 + 0.035 * look.makeup)
    brow = [(x - 0.26, y - 0.28), (x, y - 0.35), (x + 0.2, y - 0.33), (x + 0.34, y - 0.25 + 0.07 * look.sag)]
    hair = mix(mix(look.hair, (30, 22, 20), 0.4), (170, 168, 165), 0.6 * look.grey)
    _stroke(canvas, _both_sides(_curve(brow)), hair, look.brow, 0.85)


def _paint_nose_and_mouth(canvas: Canvas, look: Look, rng: np.random.Generator) -> None:
    """Nose, stubble and lips; the smile changes from photo to photo."""
    dark, wide = _shade(look.skin, 0.62), look.nose_width
    _glow(canvas, (0.0, 0.15), (0.09, 0.3), _shade(look.skin, 1.16), 0.6)
    _glow(canvas, (0.0, NOSE_Y + 0.05), (wide * 1.2, 0.08), dark, 0.75)
    wing = [(0.0, NOSE_Y + 0.06), (wide * 0.9, NOSE_Y + 0.03), (wide, NOSE_Y - 0.08)]
    _stroke(canvas, _both_sides(_curve(wing)), dark, 0.03, 0.8)
    _stroke(canvas, [_curve([(-0.1, -0.1), (-0.08, 0.15), (-wide * 0.9, NOSE_Y - 0.1)])], dark, 0.03, 0.3)
    nostril = _ellipse((wide * 0.45, NOSE_Y + 0.02), (0.05, 0.028), 10)
    _fill(canvas, _both_sides(nostril), _shade(look.skin, 0.35), 0.9)
    if look.stubble > 0:
        _glow(canvas, (0.0, 0.98), (0.62, 0.24), (60, 62, 70), 0.62 * look.stubble)
        _glow(canvas, (0.0, 0.57), (0.33, 0.06), (60, 62, 70), 0.62 * look.stubble)
    half, smile, open_ = 0.31, rng.normal(0.02, 0.03), look.lip_height
    left, right, y = (-half, MOUTH_Y - smile), (half, MOUTH_Y - smile), MOUTH_Y
    upper = [left, (-0.1, y - open_), (0.0, y - 0.8 * open_), (0.1, y - open_), right, (0.0, y + 0.02)]
    lower = [left, (0.0, y), right, (0.14, y + 1.2 * open_), (-0.14, y + 1.2 * open_)]
    _fill(canvas, [_curve(upper, closed=True)], _shade(look.lips, 0.88))
    _fill(canvas, [_curve(lower, closed=True)], look.lips)
    _stroke(canvas, [_curve([left, (0.0, y + 0.02), right])], _shade(look.lips, 0.45), 0.03, 0.9)


def _paint_age(canvas: Canvas, look: Look) -> None:
    """Wrinkles of the forehead, eye bags, crow's feet, the folds beside the mouth, and spots."""
    dark, depth = mix(_shade(look.skin, 0.62), (120, 70, 60), 0.25), look.wrinkles
    halves = ((0.52, -0.76), (0.46, -0.65), (0.4, -0.55))
    brow = [_curve([(-half, y + 0.03), (-0.2, y), (0.2, y + 0.01), (half, y + 0.04)]) for half, y in halves]
    _stroke(canvas, brow, dark, 0.028, min(0.8, 0.9 * depth))
    x, bag_y = look.eye_gap, EYE_Y + 0.18
    for side in (-1, 1):
        _glow(canvas, (side * x, EYE_Y + 0.22), (0.2, 0.08), mix(dark, (100, 65, 95), 0.3), 0.7 * depth)
        _glow(canvas, (side * 0.36, 0.56), (0.1, 0.14), dark, 0.3 * depth)
    bag = _curve([(x - 0.2, bag_y), (x, bag_y + 0.08), (x + 0.22, bag_y)])
    fold = _curve([(0.22, NOSE_Y - 0.02), (0.38, 0.54), (0.44, MOUTH_Y + 0.02 + 0.1 * look.sag)])
    _stroke(canvas, [*_both_sides(bag), *_both_sides(fold)], dark, 0.028, 0.95 * depth)
    _stroke(canvas, _both_sides([(0.39, MOUTH_Y + 0.1), (0.42, 0.95)]), dark, 0.028, 0.8 * look.sag)
    feet = [[(0.76, EYE_Y + 0.5 * dy), (0.9, EYE_Y + 1.3 * dy)] for dy in (-0.1, 0.0, 0.1)]
    _stroke(canvas, [line for foot in feet for line in _both_sides(foot)], dark, 0.025, 0.8 * depth)
    _paint_spots(canvas, look)


def _paint_spots(canvas: Canvas, look: Look) -> None:
    """Dark spots on forehead and cheeks, at the same places in every photo."""
    room = np.random.default_rng(look.scene)
    for _ in range(int(9 * look.spots)):
        x, y = room.uniform(-0.75, 0.75), room.choice([room.uniform(-0.9, -0.5), room.uniform(0.15, 0.6)])
        _glow(canvas, (x, y), (0.05, 0.045), (140, 95, 70), 0.5)


# ---- hair and glasses -----------------------------------------------------------------------------------------------


def _hair_colour(look: Look) -> Colour:
    return mix(look.hair, (205, 204, 202), 0.92 * look.grey)


def _hair_end(look: Look) -> float:
    """Return the y down to which the hair falls."""
    return -0.1 + 2.3 * look.hair_length


def _paint_back_hair(canvas: Canvas, look: Look) -> None:
    """Hair that falls behind the neck; short hair has none of it."""
    end, wide = _hair_end(look), 1.04 + 0.8 * look.hair_volume
    if end < 0.35:
        return
    right = [(0.0, -1.3), (0.8, -1.1), (wide, -0.4), (wide * 1.05, 0.55 * end), (wide * 0.93, end), (0.4, end + 0.1)]
    _fill(canvas, [_curve(_mirrored(right), closed=True)], _shade(_hair_colour(look), 0.72))


def _paint_front_hair(canvas: Canvas, look: Look) -> None:
    """The cap of hair above the forehead, its strands, and the locks of long hair beside the face."""
    colour, volume, part = _hair_colour(look), look.hair_volume, look.parting
    long_ = _hair_end(look) >= 0.35
    side_y = 0.1 if long_ else -0.2
    wide = 1.0 + (0.8 * volume if long_ else 0.35 * volume)
    top = CROWN_Y - volume
    line = HAIRLINE_Y + 0.38 * look.fringe - 0.28 * look.recede
    temple = HAIRLINE_Y + 0.2 + 0.22 * look.fringe - 0.42 * look.recede
    outer = [(-wide, side_y), (-wide - 0.02, -0.6), (-0.78, top + 0.24), (-0.3, top + 0.02), (0.3, top + 0.02),
             (0.78, top + 0.24), (wide + 0.02, -0.6), (wide, side_y)]  # fmt: skip
    inner = [(0.93, side_y), (0.9, -0.4), (0.72, temple), (0.3 + 0.3 * part, line + 0.06), (0.45 * part, line - 0.05),
             (-0.3 + 0.3 * part, line + 0.06), (-0.72, temple), (-0.9, -0.4), (-0.93, side_y)]  # fmt: skip
    _fill(canvas, [np.concatenate([_curve(outer), _curve(inner)])], colour)
    _glow(canvas, (0.3 * part, top + 0.3), (0.5, 0.12), _shade(colour, 1.5), 0.35 * (1 - look.recede))
    _paint_strands(canvas, look, np.asarray(outer), np.asarray(inner)[::-1])
    if long_:
        _paint_locks(canvas, look, wide)


def _paint_strands(canvas: Canvas, look: Look, outer_K2: Floats, inner_K2: Floats) -> None:
    """A few lines from the top to the hairline: some darker, some lighter, the latter grey where the hair turns."""
    room, colour = np.random.default_rng(look.scene + 1), _hair_colour(look)
    tops, ends = _curve(outer_K2)[4:-4], _curve(inner_K2)
    share = room.uniform(0.05, 0.95, 9)
    top, end = tops[(share * len(tops)).astype(int)], ends[(share * len(ends)).astype(int)]
    lines = np.stack([top * 0.97, (top + end) / 2 + room.normal(0, 0.03, top.shape), end], axis=1)
    bright = (215, 213, 210) if room.random() < 1.5 * look.grey else _shade(colour, 1.35)
    _stroke(canvas, list(lines[:4]), _shade(colour, 0.7), 0.03, 0.35)
    _stroke(canvas, list(lines[4:]), bright, 0.03, 0.35)


def _paint_locks(canvas: Canvas, look: Look, wide: float) -> None:
    """Long hair in front of the shoulders, beside the face."""
    end, colour = _hair_end(look), _hair_colour(look)
    lock = np.array([(0.9, -0.75), (wide + 0.02, -0.6), (wide + 0.05, 0.3 * end), (wide * 0.98, end),
                     (0.84, end + 0.06), (0.93, 0.5 * end), (0.9, -0.2)])  # fmt: skip
    _fill(canvas, _both_sides(_curve(lock, closed=True)), colour)
    _stroke(canvas, _both_sides(_curve((lock[1:4] + lock[[6, 5, 4]]) / 2)), _shade(colour, 1.35), 0.04, 0.4)


def _paint_glasses(canvas: Canvas, look: Look) -> None:
    frame = mix((25, 22, 22), (120, 90, 50), (look.scene % 7) / 7)
    round_ = 0.24 + 0.02 * (look.scene % 4)
    x = look.eye_gap
    lenses = _both_sides(_ellipse((x, EYE_Y + 0.04), (0.34, round_)))
    _fill(canvas, lenses, (225, 235, 245), 0.14)
    _stroke(canvas, lenses, frame, 0.045, closed=True)
    bridge = _curve([(0.34 - x, EYE_Y), (0, EYE_Y - 0.05), (x - 0.34, EYE_Y)])
    _stroke(canvas, [bridge, *_both_sides([(x + 0.34, EYE_Y), (1.0, EYE_Y - 0.06)])], frame, 0.045)


# ---- mask -----------------------------------------------------------------------------------------------------------


def _mask_colour(kind: str, rng: np.random.Generator) -> Colour:
    """Return the main colour of a mask of this kind."""
    if kind == "surgical":
        return mix((150, 195, 225), (175, 225, 220), rng.random())
    if kind == "dark":
        return mix((22, 22, 26), (70, 62, 82), rng.random())
    if kind == "print":
        red, green, blue = rng.uniform(70, 225, 3)
        return red, green, blue
    if kind == "boat" and rng.random() < 0.35:
        return 38, 38, 42
    return mix((226, 226, 224), (248, 248, 250), rng.random())


def _paint_mask(canvas: Canvas, look: Look, kind: str, slip: str, rng: np.random.Generator) -> None:
    """A mask with its straps: in place, or slipped below the nose, to the chin, off one ear or over the eyes."""
    top, bottom = {
        "none": (rng.normal(0.08, 0.03), CHIN_Y + 0.07),
        "nose": (rng.uniform(0.5, 0.58), CHIN_Y + 0.14),
        "chin": (rng.uniform(0.86, 0.95), CHIN_Y + 0.2),
        "ear": (0.1, CHIN_Y),
        "eyes": (-0.45, 0.28),
    }[slip]
    grid = _mask_grid(look, kind, top, bottom)
    side = int(rng.choice([-1, 1]))
    if slip == "ear":
        grid = _hang(grid, side)
    colour = _mask_colour(kind, rng)
    _paint_straps(canvas, grid, colour, sides=(side,) if slip == "ear" else (-1, 1))
    outline = np.concatenate([grid[0], grid[1:-1, -1], grid[-1, ::-1], grid[-2:0:-1, 0]])
    _fill(canvas, [outline + np.array([0.0, 0.05])], _shade(look.skin, 0.5), 0.35)
    _fill(canvas, [outline], colour)
    _paint_fabric(canvas, grid, kind, colour, rng)
    _stroke(canvas, [outline], _shade(colour, 0.7), 0.02, 0.6, closed=True)


def _mask_grid(look: Look, kind: str, top: float, bottom: float, rows: int = 13, columns: int = 15) -> Floats:
    """Return points (rows, columns, 2) that span a mask along the face, from its upper to its lower edge."""
    v, u = np.linspace(0, 1, rows)[:, None], np.linspace(-1, 1, columns)[None, :]
    droop = {"cup": 0.22, "boat": 0.16}.get(kind, 0.13)
    upper = top + droop * np.abs(u) ** 1.6
    lower = bottom - (0.42 if kind == "cup" else 0.3) * np.abs(u) ** 2.2 * min(1.0, (bottom - top) / 0.8)
    y = upper + (lower - upper) * v
    limit = np.interp(np.minimum(y[:, -1:], 1.02), *_profile(look).T[::-1])
    fit = {"cup": 0.84, "boat": 0.9, "dark": 0.99}.get(kind, 0.95)
    x = u * fit * np.maximum(limit, 0.45) * (1 - 0.08 * v)
    return np.stack([x, np.broadcast_to(y, x.shape)], axis=2)


def _hang(grid: Floats, side: int) -> Floats:
    """Turn a mask about the ear on one side, so that it dangles beside the cheek."""
    ear = np.array([side * 1.02, 0.15])
    angle = side * 1.25
    cos, sin = np.cos(angle), np.sin(angle)
    start = grid[0, -1 if side > 0 else 0]
    turned: Floats = (grid - start) * [0.8, 0.75] @ np.array([[cos, -sin], [sin, cos]]) + ear
    return turned


def _paint_straps(canvas: Canvas, grid: Floats, colour: Colour, *, sides: tuple[int, ...]) -> None:
    """Two bands from each side of the mask to the ear."""
    lines = []
    for side in sides:
        column = -1 if side > 0 else 0
        lines += [[grid[1, column], (side * 1.03, -0.12)], [grid[-3, column], (side * 1.03, 0.16)]]
    _stroke(canvas, lines, mix(colour, (235, 235, 235), 0.5), 0.04, 0.95)


def _paint_fabric(canvas: Canvas, grid: Floats, kind: str, colour: Colour, rng: np.random.Generator) -> None:
    """Pleats, seams, folds or a printed pattern."""
    fold, lit = _shade(colour, 0.8), mix(colour, (255, 255, 255), 0.25)
    middle = grid.shape[1] // 2
    _glow(canvas, tuple(grid[5, middle]), (0.35, 0.3), lit, 0.45)
    if kind in ("surgical", "white"):
        _stroke(canvas, list(grid[[4, 6, 8]]), fold, 0.03, 0.9)
        _stroke(canvas, [grid[1, 3:-3]], mix(colour, (255, 255, 255), 0.6), 0.04, 0.8)
    if kind == "cup":
        _stroke(canvas, list(grid[[2, 10]]), fold, 0.03, 0.7)
        valve = _ellipse(tuple(grid[7, middle + 3]), (0.11, 0.1), 14)
        _fill(canvas, [valve], mix(colour, (150, 160, 175), rng.random()))
    if kind == "boat":
        _fill(canvas, [np.concatenate([grid[0], grid[4, ::-1]])], _shade(colour, 0.9), 0.7)
        _stroke(canvas, list(grid[[4, 9]]), fold, 0.03, 0.9)
    if kind == "dark":
        _stroke(canvas, [grid[:, middle]], mix(colour, (160, 160, 165), 0.35), 0.03, 0.8)
    if kind == "print":
        spots = grid[2:-2:3, 2:-2:3].reshape(-1, 2) + rng.normal(0, 0.02, 2)
        _fill(canvas, [_ellipse(tuple(spot), (0.055, 0.05), 8) for spot in spots], rng.uniform(30, 250, 3).tolist())


# ---- camera ---------------------------------------------------------------------------------------------------------


def _photograph(pixels_HW3: Pixels, rng: np.random.Generator, size: tuple[int, int]) -> Pixels:
    """Shrink to size and apply light from a side, exposure, colour cast, blur and noise."""
    height, width = size
    photo = cv2.resize(pixels_HW3, (width, height), interpolation=cv2.INTER_AREA)
    photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.1, 1.1) * height / 256 + 0.05)
    angle, strength = rng.uniform(0, 2 * np.pi), abs(rng.normal(0, 0.12))
    x_W = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(np.cos(angle) * strength)
    y_H = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(np.sin(angle) * strength)
    light_HW = 1 + y_H[:, None] + x_W
    gain_3 = np.exp(rng.normal(-0.02, 0.11) + rng.normal(0, 0.028, 3)).astype(np.float32)
    noise_HW = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(1, 6))
    lit = cv2.multiply(photo, cv2.merge([light_HW * gain for gain in gain_3]), dtype=cv2.CV_32F)
    return np.asarray(cv2.add(lit, cv2.merge([noise_HW] * 3), dtype=cv2.CV_8U), dtype=np.uint8)
