"""Figures of a page: drawn by matplotlib as inline SVG or as PNG, each with a title, a description and its data.

In the SVG every colour of the palette is a CSS variable, so that a figure follows the page's light or dark scheme.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

from maskcls.show.pages import palette
from maskcls.show.pages.table import Table
from maskcls.show.pictures.figure_text import use_fonts

WIDTH, HEIGHT = 5.0, 3.0  # inches; 480 CSS pixels wide, so that text is still readable at 360
PNG_DPI = 160

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: small, and the browser has the fonts of every script
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,  # names of classes and runs may have dollar signs
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.constrained_layout.use": True,
    "text.color": palette.INK.light,
    "axes.labelcolor": palette.INK.light,
    "axes.edgecolor": palette.MUTED.light,
    "xtick.color": palette.MUTED.light,
    "ytick.color": palette.MUTED.light,
    "xtick.labelcolor": palette.INK.light,
    "ytick.labelcolor": palette.INK.light,
    "grid.color": palette.LINE.light,
}


@dataclass(frozen=True)
class Figure:
    """One figure.

    name         file name without ending, and the HTML id: lower-case letters, digits and hyphens; unique on a page.
    title        short, shown above the figure.
    description  what the figure shows, in one or two sentences; read aloud instead of the picture.
    table        the numbers behind it.
    paint        draws on one matplotlib Axes. Colours are those of `palette`, by their `.light` value, or "none".
    size         width and height in inches.
    wide         the figure keeps its width on a narrow screen and is scrolled; otherwise it shrinks.
    """

    name: str
    title: str
    description: str
    table: Table
    paint: Callable[[Any], None]
    size: tuple[float, float] = (WIDTH, HEIGHT)
    wide: bool = False


def to_svg(figure: Figure) -> str:
    """Return the figure as one <svg> element with <title> and <desc>, without ids that another figure could have."""
    with _drawn(figure) as drawn:
        out = io.StringIO()
        drawn.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return _inline(out.getvalue(), figure)


def to_png(figure: Figure) -> bytes:
    """Return the figure as a PNG on white, 160 pixels per inch; text may be of any script, see `pictures.fonts`."""
    with _drawn(figure) as drawn:
        use_fonts(drawn)
        out = io.BytesIO()
        drawn.savefig(out, format="png", dpi=PNG_DPI, facecolor=palette.SURFACE.light, metadata={"Software": None})
    return out.getvalue()


@contextmanager
def _drawn(figure: Figure) -> Iterator[Any]:
    """Yield the matplotlib figure, painted; the settings of matplotlib hold until it is saved."""
    import matplotlib
    from cycler import cycler
    from matplotlib.figure import Figure as Canvas

    colours = cycler(color=[one.light for one in palette.SERIES])
    style: Any = _STYLE | {"svg.hashsalt": figure.name, "axes.prop_cycle": colours}
    with matplotlib.rc_context(style), warnings.catch_warnings():
        # The browser draws scripts that matplotlib's own font does not have.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        drawn = Canvas(figsize=figure.size)
        figure.paint(drawn.add_subplot())
        yield drawn


def _inline(svg: str, figure: Figure) -> str:
    """Return the <svg> element of a file that matplotlib wrote, for use within an HTML page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # matplotlib's names, such as patch_1, are the same in every figure
    for colour in palette.ALL:
        svg = svg.replace(colour.light, f"var({colour.variable})")
    width = round(figure.size[0] * 96)
    opening = (
        f'<svg class="figure" role="img" aria-labelledby="{figure.name}-title {figure.name}-desc" '
        f'style="{"width" if figure.wide else "max-width"}:{width}px" viewBox="{_view_box(svg)}">'
        f'<title id="{figure.name}-title">{escape(figure.title)}</title>'
        f'<desc id="{figure.name}-desc">{escape(figure.description)}</desc>'
    )
    body = re.sub(r">\s+<", "><", svg[svg.index(">") + 1 :]).strip()
    return opening + body.replace("xlink:href", "href")


def _view_box(svg: str) -> str:
    found = re.search(r'viewBox="([^"]*)"', svg)
    assert found is not None, "matplotlib writes a viewBox"
    return found[1]
