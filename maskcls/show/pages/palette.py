"""The colours of pages and figures, per light and dark scheme.

Text has a contrast of at least 4.5 : 1 to the surface and lines at least 3 : 1 (WCAG 2.2, 1.4.3 and 1.4.11);
tests/show/test_pages.py computes both.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """One colour: its CSS variable, and its value in both schemes as #rrggbb."""

    variable: str
    light: str
    dark: str


SURFACE = Colour("--surface", "#ffffff", "#12161c")
PANEL = Colour("--panel", "#f5f7fa", "#1b2129")
INK = Colour("--ink", "#1b1f24", "#e6eaef")
MUTED = Colour("--muted", "#56606c", "#a3adb9")
LINE = Colour("--line", "#d3d9e0", "#343d49")
LINK = Colour("--link", "#0a58b0", "#7db7ff")
GOOD = Colour("--good", "#177245", "#5ccb8d")
BAD = Colour("--bad", "#b8272f", "#ff8a84")
WARN = Colour("--warn", "#8a5a00", "#e5b454")
SERIES = (
    Colour("--c0", "#0b69c7", "#6cb2ff"),
    Colour("--c1", "#b0560a", "#f2a561"),
    Colour("--c2", "#1b7f4c", "#5fcf92"),
    Colour("--c3", "#7f4fd6", "#c09bff"),
    Colour("--c4", "#c7254a", "#ff8398"),
    Colour("--c5", "#0b7680", "#55d0da"),
    Colour("--c6", "#b2388c", "#f485ca"),
    Colour("--c7", "#74602a", "#d6bd78"),
)
# Low to high; told apart by their lightness alone, so also by the colour-blind and in print.
SCALE = (
    Colour("--s0", "#ad8218", "#5d6ea6"),
    Colour("--s1", "#877742", "#7487a3"),
    Colour("--s2", "#5f6b6e", "#97a28c"),
    Colour("--s3", "#35568a", "#c8b758"),
    Colour("--s4", "#12245c", "#ffe14d"),
)
ALL = (SURFACE, PANEL, INK, MUTED, LINE, LINK, GOOD, BAD, WARN, *SERIES, *SCALE)


def css_variables() -> str:
    """Return the CSS declarations of all colours; `color-scheme` of the element chooses between the two values."""
    return "".join(f"{one.variable}:light-dark({one.light},{one.dark});" for one in ALL)
