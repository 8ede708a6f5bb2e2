"""Which font has a character: the user's, matplotlib's own, or one that is installed; and what to write without one.

Without the packages of the extra `report`, only Pillow's own font is used, for ASCII.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

from maskcls.config.installed_extras import FIGURES, missing_extra
from maskcls.errors import UsageError, visible

SETTING = "MASKCLS_FONT"  # environment variable: a font file that is used before all others
OUTLINES = ("glyf", "CFF ", "CFF2")  # tables of scalable glyphs; fonts of coloured pictures have others
PACKAGES = ("koreanize_matplotlib",)  # Python packages with fonts; only their files are used, nothing is imported
ENDINGS = (".ttf", ".otf", ".ttc")
UNUSUAL = ("bold", "italic", "oblique", "mono", "serif", "light", "thin", "black", "condensed", "narrow")
SYLLABLE = "HANGUL SYLLABLE "
IN_BASE = "…"  # the character besides ASCII that we write ourselves; matplotlib's and Pillow's own font have it
HOW = f"install one (for Hangul: pip install koreanize-matplotlib), or name a font file in {SETTING}"


def readable(text: str) -> str:
    """Return text of which every character can be drawn: composed, control characters as escapes, and others replaced.

    A Hangul syllable is replaced by its romanisation, as in its Unicode name; another character by its code point.
    Neighbouring ones are joined by hyphens: `ma-seu-keu`, `U+65E5-U+672C`.
    """
    composed = visible(unicodedata.normalize("NFC", text))
    parts = ["".join(run) if found else "-".join(map(_spelled, run)) for found, run in groupby(composed, _drawable)]
    return "".join(parts)


def missing(texts: Iterable[str]) -> list[str]:
    """Return the characters that no font has, each once, in their order."""
    composed = "".join(visible(unicodedata.normalize("NFC", text)) for text in texts)
    return [char for char in dict.fromkeys(composed) if not _drawable(char)]


def missing_note(texts: Iterable[str]) -> str | None:
    """Return what to tell the user where pictures of these texts lack a font; None where they do not.

    Also where the user named a font, but the packages that read it are not installed.
    """
    lacking = missing_extra("report", needed_by="fonts of pictures", packages=FIGURES)
    if not (chars := missing(texts)):
        if lacking and os.environ.get(SETTING):
            return f"the font of {SETTING} is not used, as {lacking.what}: {lacking.fix}"
        return None
    shown = "".join(chars[:12]) + ("…" if len(chars) > 12 else "")
    instead = f"no font has the characters {shown}; pictures show {readable(shown)} instead."
    return f"{instead} {lacking.what}: {lacking.fix}" if lacking else f"{instead} To draw them, {HOW}"


def fonts_of(text: str) -> list[tuple[str, Path | None]]:
    """Return `readable` text in parts, each with the font file that has its characters; None is Pillow's own font."""
    shown = readable(text)
    return [("".join(part), font) for font, part in groupby(shown, lambda char: font_of(char) or base_font())]


@cache
def font_of(char: str) -> Path | None:
    """Return the font file that draws a character; None when there is none. Raises UsageError for a wrong font file."""
    base = base_font()
    if base is None:
        return None
    own = user_font()
    if own is not None and ord(char) in characters(own):
        return own
    if _in_base(char) or ord(char) in characters(base):
        return base
    return next((path for path in _installed() if ord(char) in characters(path)), None)


@cache
def user_font() -> Path | None:
    """Return the font file that the user named; UsageError when it is none."""
    name = os.environ.get(SETTING)
    if not name:
        return None
    if not characters(Path(name)):
        fix = "name a font file (.ttf, .otf, .ttc)"
        raise UsageError("this is no font file that can be drawn", where=SETTING, got=name, fix=fix)
    return Path(name)


@cache
def base_font() -> Path | None:
    """Return DejaVu Sans, which comes with matplotlib: Latin, Greek, Cyrillic, Arabic and more.

    None without the packages of the extra `report`: then pictures use Pillow's own font.
    """
    if missing_extra("report", needed_by="fonts of pictures", packages=FIGURES):
        return None
    return _folder_of("matplotlib") / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"


@cache
def characters(path: Path) -> frozenset[int]:
    """Return the code points that a font file has outlines for; none for a file that is no such font."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with path.open("rb") as file, TTFont(file, fontNumber=0, lazy=True) as font:
            return frozenset(font.getBestCmap() or ()) if any(table in font for table in OUTLINES) else frozenset()
    except (TTLibError, OSError, ValueError, KeyError, AssertionError):  # damaged, or no font
        return frozenset()


def _drawable(char: str) -> bool:
    return _in_base(char) or font_of(char) is not None


def _in_base(char: str) -> bool:
    """Return whether matplotlib's and Pillow's own font both draw a character."""
    return char.isascii() or char.isspace() or char in IN_BASE


def _spelled(char: str) -> str:
    name = unicodedata.name(char, "")
    return name.removeprefix(SYLLABLE).lower() if name.startswith(SYLLABLE) else f"U+{ord(char):04X}"


@cache
def _installed() -> tuple[Path, ...]:
    """Return the installed font files, upright ones of medium weight first, in an order that does not change."""
    from matplotlib import font_manager

    found = {Path(path) for path in font_manager.findSystemFonts()}
    for package in PACKAGES:
        if find_spec(package) is not None:
            found |= {path for path in _folder_of(package).rglob("*") if path.suffix.lower() in ENDINGS}
    return tuple(sorted(found, key=lambda path: (sum(word in path.name.lower() for word in UNUSUAL), str(path))))


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
