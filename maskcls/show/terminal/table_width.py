"""How wide a table must be: figures are never cut; names are broken, and headings shortened, where there is no room."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

WIDEST = 10_000  # columns: no table is as wide
NARROWEST = 12  # characters of a column of names, before lines become wider than the terminal
SHORTEST = 5  # characters that a heading keeps


def fit_table(table: Table, width: int) -> int:
    """Make a table fit into `width` characters, if it can; returns the least width in which every figure is whole.

    Columns that may not be broken hold figures. If that makes it fit, their headings are shortened, longest first, but
    not below their figures or SHORTEST. Columns of names are left to rich, which breaks them.
    """
    figures = [column for column in table.columns if column.no_wrap]
    for column in figures:
        column.min_width = max(widest(column.cells), widest([column.header]))
    excess = least_width(table) - width
    if excess > sum(map(_spare, figures)):
        return width + excess
    while excess > 0:
        column = max(figures, key=_spare)
        cut = min(_spare(column), excess)
        assert column.min_width is not None
        column.min_width -= cut
        column.header = shortened(_plain(column.header), column.min_width)
        excess -= cut
    return width + excess


def least_width(table: Table) -> int:
    """Return the least width in which every figure is whole, and names have NARROWEST characters if they need them."""
    measured = Console(width=WIDEST).measure(table).minimum
    names = [column for column in table.columns if not column.no_wrap]
    return measured - sum(_breakable(column) for column in names)


def widest(cells: Iterable[object]) -> int:
    """Return the number of characters of the widest line of the cells; 0 without one."""
    return max((cell_len(line) for cell in cells for line in _plain(cell).split("\n")), default=0)


def shortened(heading: str, width: int) -> str:
    """Cut every line of a heading to so many characters, the last of which says so.

    >>> shortened("probability", 6), shortened("age", 6)
    ('proba…', 'age')
    """
    lines = heading.split("\n")
    return "\n".join(
        line if cell_len(line) <= width else set_cell_size(line, width - 1).rstrip() + "…" for line in lines
    )


def _spare(column: Column) -> int:
    """Return how many characters a heading can lose."""
    assert column.min_width is not None
    return max(0, column.min_width - max(widest(column.cells), SHORTEST))


def _breakable(column: Column) -> int:
    """Return how many characters a column of names can lose where its longest word is broken."""
    words = [word for cell in (column.header, *column.cells) for word in _plain(cell).split()]
    return max(0, widest(words) - max(NARROWEST, column.min_width or 0))


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
