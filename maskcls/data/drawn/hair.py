"""Hair behind and in front of the head, and glasses."""

from __future__ import annotations

import numpy as np

from maskcls.data.drawn.canvas import (
    Canvas,
    Colour,
    Floats,
    both_sides,
    curve,
    ellipse,
    fill,
    glow,
    mirrored,
    mix,
    shade,
    stroke,
)
from maskcls.data.drawn.look import CROWN_Y, EYE_Y, HAIRLINE_Y, Look


def _hair_colour(look: Look) -> Colour:
    return mix(look.hair, (205, 204, 202), 0.92 * look.grey)


def _hair_end(look: Look) -> float:
    """Return the y of the lower end of the hair."""
    return -0.1 + 2.3 * look.hair_length


def paint_back_hair(canvas: Canvas, look: Look) -> None:
    """Paint the hair behind the neck; nothing for short hair."""
    end, wide = _hair_end(look), 1.04 + 0.8 * look.hair_volume
    if end < 0.35:
        return
    right = [(0.0, -1.3), (0.8, -1.1), (wide, -0.4), (wide * 1.05, 0.55 * end), (wide * 0.93, end), (0.4, end + 0.1)]
    fill(canvas, [curve(mirrored(right), closed=True)], shade(_hair_colour(look), 0.72))


def paint_front_hair(canvas: Canvas, look: Look) -> None:
    """Paint the hair above the forehead, its strands, and long hair beside the face."""
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
    fill(canvas, [np.concatenate([curve(outer), curve(inner)])], colour)
    glow(canvas, (0.3 * part, top + 0.3), (0.5, 0.12), shade(colour, 1.5), 0.35 * (1 - look.recede))
    _paint_strands(canvas, look, np.asarray(outer), np.asarray(inner)[::-1])
    if long_:
        _paint_locks(canvas, look, wide)


def _paint_strands(canvas: Canvas, look: Look, outer_K2: Floats, inner_K2: Floats) -> None:
    """Paint lines from the top to the hairline, some darker, some lighter; the lighter ones are grey in grey hair."""
    room, colour = np.random.default_rng(look.scene + 1), _hair_colour(look)
    tops, ends = curve(outer_K2)[4:-4], curve(inner_K2)
    share = room.uniform(0.05, 0.95, 9)
    top, end = tops[(share * len(tops)).astype(int)], ends[(share * len(ends)).astype(int)]
    lines = np.stack([top * 0.97, (top + end) / 2 + room.normal(0, 0.03, top.shape), end], axis=1)
    bright = (215, 213, 210) if room.random() < 1.5 * look.grey else shade(colour, 1.35)
    stroke(canvas, list(lines[:4]), shade(colour, 0.7), 0.03, 0.35)
    stroke(canvas, list(lines[4:]), bright, 0.03, 0.35)


def _paint_locks(canvas: Canvas, look: Look, wide: float) -> None:
    """Paint long hair in front of the shoulders, beside the face."""
    end, colour = _hair_end(look), _hair_colour(look)
    lock = np.array([(0.9, -0.75), (wide + 0.02, -0.6), (wide + 0.05, 0.3 * end), (wide * 0.98, end),
                     (0.84, end + 0.06), (0.93, 0.5 * end), (0.9, -0.2)])  # fmt: skip
    fill(canvas, both_sides(curve(lock, closed=True)), colour)
    stroke(canvas, both_sides(curve((lock[1:4] + lock[[6, 5, 4]]) / 2)), shade(colour, 1.35), 0.04, 0.4)


def paint_glasses(canvas: Canvas, look: Look) -> None:
    frame = mix((25, 22, 22), (120, 90, 50), (look.scene % 7) / 7)
    round_ = 0.24 + 0.02 * (look.scene % 4)
    x = look.eye_gap
    lenses = both_sides(ellipse((x, EYE_Y + 0.04), (0.34, round_)))
    fill(canvas, lenses, (225, 235, 245), 0.14)
    stroke(canvas, lenses, frame, 0.045, closed=True)
    bridge = curve([(0.34 - x, EYE_Y), (0, EYE_Y - 0.05), (x - 0.34, EYE_Y)])
    stroke(canvas, [bridge, *both_sides([(x + 0.34, EYE_Y), (1.0, EYE_Y - 0.06)])], frame, 0.045)
