"""Results as text on stdout: lines, tables, and numbers written the same way in all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

NO_GAIN = "no proven gain (95 % interval includes 0)"


def say(text: str = "", *, end: str = "\n") -> None:
    """Print one line of a result."""
    print(text, end=end)


def show(what: RenderableType, *, wrap: bool = True) -> None:
    """Print a table or text as it is: no markup, no colours of its own. wrap: break lines at the terminal's width."""
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(what, soft_wrap=not wrap)


def plain_table(first: str, *numbers: str, width: int = 12) -> Table:
    """Return an empty table: a text column of at least `width` characters, then columns of numbers, kept whole."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True, header_style="")
    table.add_column(first, overflow="fold", min_width=width)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def number(value: float | None, digits: int = 4, *, sign: bool = False) -> str:
    """Write a score; a dash where there is none.

    >>> number(0.5), number(0.5, 2, sign=True), number(None), number(float("nan"))
    ('0.5000', '+0.50', '-', '-')
    """
    if value is None or math.isnan(value):
        return "-"
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def span(low: float, high: float, *, sign: bool = False) -> str:
    """Write the two ends of an interval.

    >>> span(-0.01, 0.02, sign=True)
    '-0.0100 to +0.0200'
    """
    return f"{number(low, sign=sign)} to {number(high, sign=sign)}"


def plural(count: int, name: str) -> str:
    """Write a count with its noun.

    >>> plural(1, "photo"), plural(1200, "photo"), plural(2, "person")
    ('1 photo', '1,200 photos', '2 people')
    """
    many = name.removesuffix("person") + "people" if name.endswith("person") else f"{name}s"
    return f"{count:,} {name if count == 1 else many}"
