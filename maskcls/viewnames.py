"""Test-time views by name: a set such as `hflip`, or single views joined by `+`, such as `none+flip+up`.

`geometric:` before either says how their probabilities are averaged. Plain data: `engine.tta` draws the views.
"""

from __future__ import annotations

from typing import Literal

from maskcls.errors import nearest

ViewMean = Literal["arithmetic", "geometric"]

GEOMETRIC = "geometric:"

SINGLE = (
    *("none", "flip", "zoomed", "flip_zoomed", "zoomed_80", "flip_zoomed_80", "zoomed_70", "flip_zoomed_70"),
    *("up", "down", "left", "right"),
)
SETS = {
    "none": ("none",),
    "hflip": ("none", "flip"),
    "zoom": ("none", "zoomed"),
    "hflip_zoom": ("none", "flip", "zoomed", "flip_zoomed"),
    "hflip_zooms": SINGLE[:8],
    "shifts": ("none", "up", "down", "left", "right"),
}
OLDER = {"plain": "none"}  # names of earlier versions


def current_name(text: str) -> str:
    """Return a name of views with its older parts in the new spelling.

    >>> current_name("plain+flip")
    'none+flip'
    """
    return "+".join(OLDER.get(part, part) for part in text.split("+"))


def view_mean(text: str) -> ViewMean:
    """Return how the probabilities of the views of a name are averaged.

    >>> view_mean("hflip"), view_mean("geometric:hflip")
    ('arithmetic', 'geometric')
    """
    return "geometric" if text.startswith(GEOMETRIC) else "arithmetic"


def parse_views(text: str) -> tuple[str, ...]:
    """Return the single views a name stands for; ValueError, in words that follow "expected", for any other text.

    An older spelling stands for the same views.

    >>> parse_views("hflip"), parse_views("geometric:none+up")
    (('none', 'flip'), ('none', 'up'))
    """
    name = current_name(text.removeprefix(GEOMETRIC))
    if name in SETS:
        return SETS[name]
    names = tuple(name.split("+"))
    strange = [part for part in names if part not in SINGLE]
    if not strange and len(set(names)) == len(names):
        return names
    hint = f" ({_hint(strange[0])})" if strange else ""
    raise ValueError(
        f"one of {', '.join(SETS)}, or different ones of {', '.join(SINGLE)} joined by +, with or "
        f"without {GEOMETRIC} before it{hint}"
    )


def _hint(part: str) -> str:
    """Say what may have been meant by a part that is no single view."""
    if part in SETS:
        return f"{part!r} is a set of views: {'+'.join(SETS[part])}"
    if "," in part:
        return "views are averaged if joined by +; only pseudo-label --views takes a list with commas"
    near = nearest(part, [*SETS, *SINGLE])
    return f"did you mean {near!r}?" if near else f"{part!r} is no view"
