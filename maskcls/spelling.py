"""Whether two names look the same to a reader but are different text, such as "kim" and "kim ".

A table that spells one person in two ways has two people, and their photos may be on both sides of a fold.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import count

PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")  # nearly every name; it looks like itself
BLANKS = re.compile(r"\s+")
# Characters without width that are not of a category of control or format characters: fillers and variation selectors.
FILLERS = (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0)
INVISIBLE = {*FILLERS, *range(0xFE00, 0xFE10)}
WIDTHS = ("<wide>", "<narrow>")  # Unicode's marks of full-width and half-width forms


def appearance(text: str) -> str:
    """Return a text such that two names look the same if and only if theirs are equal.

    Blanks at either end, control characters and characters without width are removed, other blanks become one space;
    full-width and half-width forms become the usual ones, and characters are composed (NFC). Upper and lower case
    differ.

    >>> appearance(" kim\\u200b "), appearance("\\uff4bim"), appearance("Kim")
    ('kim', 'kim', 'Kim')
    """
    if PLAIN.fullmatch(text):
        return text
    usual = "".join(map(_usual, BLANKS.sub(" ", text)))
    return BLANKS.sub(" ", unicodedata.normalize("NFC", usual)).strip()


def lookalikes(names: Iterable[str], places: Iterable[object] | None = None) -> list[str]:
    """Return a message for every name that looks like an earlier, different one.

    places  where each name is, such as `line 2`, for the message; None: `row 1`, `row 2`, …

    >>> lookalikes(["kim", "lee", "kim "])
    ["'kim ' in row 3 looks like 'kim' in row 1: it has a space at its start or end"]
    """
    names = list(names)
    if all(map(PLAIN.fullmatch, names)):
        return []  # the usual case, several times faster
    first: dict[str, object] = {}
    for name, place in zip(names, places or (f"row {n}" for n in count(1)), strict=False):
        first.setdefault(name, place)
    of_appearance: dict[str, str] = {}
    messages = []
    for name, place in first.items():
        other = of_appearance.setdefault(appearance(name), name)
        if other != name:
            why = f"it {_manner(name)}" if _manner(name) else f"the other {_manner(other)}"
            messages.append(f"{name!r} in {place} looks like {other!r} in {first[other]}: {why}")
    return messages


def meant(text: str, known: Iterable[str]) -> str:
    """Return a hint for a message that quotes a text which looks like a known name; "" if it does not.

    Plain ASCII gets no hint: its quotation shows blanks and control characters.

    >>> meant("\\uff4eone", ["none", "worn"])
    " (it looks like 'none', but has full-width or half-width characters)"
    """
    if text.isascii():
        return ""
    near = next((name for name in known if name != text and appearance(name) == appearance(text)), None)
    return "" if near is None else f" (it looks like {near!r}, but {_manner(text) or 'that one ' + _manner(near)})"


def misspelled_columns(found: Sequence[str], known: Iterable[str]) -> list[str]:
    """Return a message for every column that looks like a known one, in any case, but is spelled differently.

    >>> misspelled_columns(["path", "Group "], ["path", "group"])
    ["'Group ': did you mean 'group'?"]
    """
    of_appearance = {appearance(name).casefold(): name for name in known}
    others = [name for name in found if name not in of_appearance.values()]
    return [
        f"{name!r}: did you mean {near!r}?"
        for name in others
        if (near := of_appearance.get(appearance(name).casefold()))
    ]


def _usual(character: str) -> str:
    """Return a character in its usual width; "" if it cannot be seen."""
    if ord(character) in INVISIBLE or unicodedata.category(character) in ("Cc", "Cf"):
        return ""
    if unicodedata.decomposition(character).startswith(WIDTHS):
        return _usual(unicodedata.normalize("NFKC", character))
    return character


def _manner(name: str) -> str:
    """Return what is unusual about how a name is written; "" if nothing is."""
    if name != name.strip():
        return "has a space at its start or end"
    if any(_usual(character) == "" for character in BLANKS.sub(" ", name)):
        return "has a character that cannot be seen"
    if any(unicodedata.decomposition(character).startswith(WIDTHS) for character in name):
        return "has full-width or half-width characters"
    if name != unicodedata.normalize("NFC", name):
        return "has decomposed characters (NFD)"
    return "has other spaces" if name != BLANKS.sub(" ", name) else ""


def plain_number(text: str) -> float:
    """Return the number that text means; ValueError for what only `float` takes as one, such as full-width digits.

    >>> plain_number("0.5"), plain_number("-1e3")
    (0.5, -1000.0)
    """
    if not text.isascii() or "_" in text:  # such as 1_000
        raise ValueError(f"not a number: {text!r}")
    return float(text)
