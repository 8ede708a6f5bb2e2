"""Markdown of text and tables; names from data sets cannot change the page."""

from __future__ import annotations

import re
from collections.abc import Iterable

from maskcls.errors import visible
from maskcls.show.pages.table import Table

_MARKS = re.compile(r"[\\`*\[\]|]|(?<!\w)_|_(?!\w)")  # an underscore within a word is text
_TAG = re.compile(r"<(?=[A-Za-z/!?])")  # `<30` is text
_ENTITY = re.compile(r"&(?=#?\w+;)")


def escaped(text: str) -> str:
    r"""Return text that Markdown shows as it is, in a paragraph, a list or a cell of a table.

    >>> escaped("a_b|<i>&amp;"), escaped("<30"), escaped("_a_")
    ('a_b\\|&lt;i>&amp;amp;', '<30', '\\_a\\_')
    """
    text = _TAG.sub("&lt;", _ENTITY.sub("&amp;", visible(text)))
    return _MARKS.sub(r"\\\g<0>", text).replace("~~", "&#126;&#126;")


def bullets(lines: Iterable[str]) -> str:
    """Return a list; the lines are Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def table_markdown(table: Table) -> str:
    """Return a table below its caption, columns of numbers to the right; its cells are text."""
    rules = ["---:" if table.numeric(column) else "---" for column in range(len(table.head))]
    rows = [table.head, *table.rows]
    head, *cells = [_row([escaped(cell) or " " for cell in row]) for row in rows]
    caption = [f"**{escaped(table.caption)}**", ""] if table.caption else []
    return "\n".join([*caption, head, _row(rules), *cells])


def section(title: str, *parts: str) -> str:
    """Return a section; empty parts are left out."""
    return "\n\n".join([f"## {title}", *filter(None, parts)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
