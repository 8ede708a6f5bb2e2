"""How wide a table must be: figures are never cut; names are broken, and headings shortened, where there is no room."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

WIDEST = 10_000  # columns: no table is as wide
NARROWEST = 12  # characters of a column of names, before lines become wider than the terminal
SHORTEST = 5  # characters that a heading keeps


def fit_table(table: Table, width: int) -> int:
    """Make a table fit into `width` characters, if it can; returns the least width in which every figure is whole.

    Columns that may not be broken hold figures. Their headings are shortened, the widest first, but not below their
    figures or SHORTEST. Columns of names are left to rich, which breaks them.
    """
    figures = [column for column in table.columns if column.no_wrap]
    for column in figures:
        column.min_width = max(widest(column.cells), widest([column.header]))
    while (least := least_width(table)) > width and (spare := [c for c in figures if _spare(c)]):
        column = max(spare, key=_spare)
        assert column.min_width is not None
        column.min_width -= min(_spare(column), least - width)
        column.header = shortened(_plain(column.header), column.min_width)
    return least


def least_width(table: Table) -> int:
    """Return the least width in which every figure is whole, and names have NARROWEST characters if they need them."""
    measured = Console(width=WIDEST).measure(table).minimum
    names = [column for column in table.columns if not column.no_wrap]
    return measured - sum(_breakable(column) for column in names)


def widest(cells: Sequence[object]) -> int:
    """Return the number of characters of the widest cell; 0 without one."""
    return max((cell_len(_plain(cell)) for cell in cells), default=0)


def shortened(heading: str, width: int) -> str:
    """Cut a heading to so many characters, the last of which says so.

    >>> shortened("probability", 6), shortened("age", 6)
    ('proba…', 'age')
    """
    return heading if cell_len(heading) <= width else set_cell_size(heading, width - 1).rstrip() + "…"


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
