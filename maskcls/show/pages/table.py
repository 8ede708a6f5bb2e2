"""A table of a page: text cells, columns of numbers to the right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"[-+±<>≤≥ ]*\d[\d,. ]*(?:%|[a-z]{1,2})?(?: ?(?:\.\.|±|\+-) ?[-+]?\d[\d,.]*)?|-?")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True)
class Table:
    """Column heads, and rows of as many cells.

    caption  read aloud before the table, and shown above it; "" where the figure's title says it.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a row with another number of cells, and for a column without a name."""
        if wrong := [len(row) for row in self.rows if len(row) != len(self.head)]:
            raise ValueError(f"a row has {wrong[0]} cells, the head has {len(self.head)}")
        if not all(self.head):
            raise ValueError(f"a column of {list(self.head)} has no name")  # a screen reader could not tell it

    def numeric(self, column: int) -> bool:
        """Return whether every cell of a column is a number, a range of numbers, or empty, and one is not.

        >>> Table(["class", "F1"], [["normal", "0.91"], ["wear", "-"]]).numeric(1)
        True
        """
        cells = [row[column] for row in self.rows]
        return any(map(_DIGIT.search, cells)) and all(map(_NUMBER.fullmatch, cells))
