"""The names of the sets in a file of rows that are only trained on: a fold's number, or "all"."""

from __future__ import annotations

import re

from maskcls.rundir import REFIT

ALL = "all"  # name of the set REFIT in the file
SET = re.compile(r"all|0|[1-9][0-9]?")


def set_name(fold: int) -> str:
    """Return a set's name in the file: the fold's number, or "all" for REFIT."""
    return ALL if fold == REFIT else str(fold)


def set_number(name: str) -> int:
    """Return the fold of a set's name, REFIT for "all"; ValueError for any other text.

    >>> set_number("2"), set_number("all")
    (2, -1)
    """
    if not SET.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a set")
    return REFIT if name == ALL else int(name)
