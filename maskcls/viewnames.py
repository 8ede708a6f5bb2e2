"""Test-time views by name: a set such as `hflip`, or single views joined by `+`, such as `plain+flip+up`.

Plain data: `engine.tta` draws them.
"""

from __future__ import annotations

from maskcls.errors import nearest

SINGLE = ("plain", "flip", "zoomed", "flip_zoomed", "up", "down", "left", "right")
SETS = {
    "none": ("plain",),
    "hflip": ("plain", "flip"),
    "zoom": ("plain", "zoomed"),
    "hflip_zoom": ("plain", "flip", "zoomed", "flip_zoomed"),
    "shifts": ("plain", "up", "down", "left", "right"),
}


def parse_views(text: str) -> tuple[str, ...]:
    """Return the single views a name stands for; ValueError, in words that follow "expected", for any other text.

    >>> parse_views("hflip"), parse_views("plain+up")
    (('plain', 'flip'), ('plain', 'up'))
    """
    if text in SETS:
        return SETS[text]
    names = tuple(text.split("+"))
    strange = [name for name in names if name not in SINGLE]
    if not strange and len(set(names)) == len(names):
        return names
    near = nearest(strange[0], [*SETS, *SINGLE]) if strange else None
    hint = f" ({strange[0]!r} looks like {near!r})" if near else ""
    raise ValueError(f"one of {', '.join(SETS)}, or different ones of {', '.join(SINGLE)} joined by +{hint}")
