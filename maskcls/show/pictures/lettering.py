"""Text drawn on images, in any script. Sizes and places in pixels."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from maskcls.show.pictures.fonts import fonts_of, readable

MORE = "…"
Colour = tuple[int, int, int]


def write_text(
    image: Image.Image,
    left: float,
    baseline: float,
    text: str,
    *,
    size: int,
    width: float = float("inf"),
    colour: Colour = (0, 0, 0),
) -> None:
    """Draw one line of text into an RGB image; text wider than `width` is cut, and ends in an ellipsis."""
    pen = ImageDraw.Draw(image)
    for part, font in fonts_of(fitted(text, size=size, width=width)):
        loaded = _loaded(font, size)
        pen.text((left, baseline), part, fill=colour, font=loaded, anchor="ls")
        left += loaded.getlength(part)


def text_width(text: str, size: int) -> float:
    """Return how wide a text is drawn."""
    return sum(_loaded(font, size).getlength(part) for part, font in fonts_of(text))


def fitted(text: str, *, size: int, width: float) -> str:
    """Return the text as it is drawn, or as much of its beginning as fits, with an ellipsis."""
    shown = readable(text)
    if text_width(shown, size) <= width:
        return shown
    while shown and text_width(shown + MORE, size) > width:
        shown = shown[:-1]
    return shown + MORE


def text_lines(text: str, *, size: int, width: float) -> list[str]:
    """Return the text in lines of at most this width, divided at spaces; a single wider word has its own line."""
    lines = [""]
    for word in readable(text).split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


@cache
def _loaded(font: Path | None, size: int) -> ImageFont.FreeTypeFont:
    """Return a font at a size; None: the one that is in Pillow, for ASCII."""
    if font is not None:
        return ImageFont.truetype(str(font), size)
    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont), "wheels of Pillow have FreeType"
    return own
