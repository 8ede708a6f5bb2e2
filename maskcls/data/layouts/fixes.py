"""Rows of a file of corrections, `data.fixes`: columns path, field and value, whose meaning depends on the layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls.csvfile import read_csv

COLUMNS = ("path", "field", "value")
FixRow = tuple[str, str, str]


@dataclass(frozen=True)
class Relabelling:
    """New labels for photos of one person, as text.

    ids       of the photos.
    values    the new label of each: a class, or a whole number for a task with bins.
    exchange  two photos have each other's label.
    """

    person: str
    task: str
    ids: tuple[str, ...]
    values: tuple[str, ...]
    exchange: bool = False


def fix_rows(path: Path) -> list[FixRow]:
    """Return the rows of a file of corrections, unchecked; raises DataError when it is no such table."""
    rows = read_csv(path, required=COLUMNS, allow_empty=True)
    return list(zip(*(rows[name].tolist() for name in COLUMNS), strict=True))


def with_earlier(new: Sequence[FixRow], earlier: Sequence[FixRow]) -> list[FixRow]:
    """Return earlier corrections followed by new ones; a new one replaces that of the same path and field.

    An exchange that was already made and is proposed again is taken back: both rows are left out.
    """
    replaced = {row[:2] for row in new}
    undone = {row for row in new if row[1] == "swap"} & set(earlier)
    return [row for row in earlier if row[:2] not in replaced] + [row for row in new if row not in undone]
