"""Text of a matplotlib figure that is drawn as pixels, in any script."""

from __future__ import annotations

from typing import Any

from maskcls.show.pictures.fonts import base_font, fonts_of, missing, readable


def use_fonts(drawn: Any) -> None:
    """Let every text of a matplotlib figure use the fonts that have its characters, and replace what no font has."""
    from matplotlib.font_manager import FontProperties, fontManager
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter

    drawn.draw_without_rendering()  # makes the tick labels
    for axis in (axis for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)):
        if missing(label.get_text() for label in axis.get_ticklabels()):
            # Tick labels are written again at every drawing.
            axis.set_major_formatter(FuncFormatter(_readable_formatter(axis.get_major_formatter())))
    texts = drawn.findobj(Text)
    found = [base_font(), *(font for text in texts for _, font in fonts_of(text.get_text()))]
    used = dict.fromkeys(path for path in found if path is not None)
    for path in used:
        fontManager.addfont(str(path))
    families = list(dict.fromkeys(FontProperties(fname=str(path)).get_name() for path in used))
    for text in texts:
        if missing([text.get_text()]):
            text.set_text(readable(text.get_text()))
        text.set_fontfamily(families)


def _readable_formatter(inner: Any) -> Any:
    return lambda value, place: readable(inner(value, place))
