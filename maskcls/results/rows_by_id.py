"""Join rows by id, never by position: the row number of each id, and whether two tables hold the same ids."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from maskcls.errors import DataError
from maskcls.labels import Ints


def rows_of(ids: Iterable[str], wanted: Iterable[str], *, names: tuple[str, str] = ("a table", "the ids")) -> Ints:
    """Return the row number in `ids` of each wanted id, (n,) int64; ids that are not wanted are left out.

    names  what to call the two sides in the message.

    Raises DataError when a wanted id is missing or occurs twice in `ids`.

    >>> rows_of(["a", "b", "c"], ["c", "a"]).tolist()
    [2, 0]
    """
    wanted = list(wanted)
    row_N = find_rows(ids, wanted, name=names[0])
    if (row_N < 0).any():
        raise DataError(
            "ids are missing",
            where=names[0],
            expected=f"every id of {names[1]}",
            fix="use files made for the same images",
            offenders=[repr(wanted[i]) for i in np.flatnonzero(row_N < 0).tolist()],
        )
    return row_N


def find_rows(ids: Iterable[str], wanted: Iterable[str], *, name: str = "a table") -> Ints:
    """Return the row number in `ids` of each wanted id, (n,) int64, and -1 for one that is missing.

    Raises DataError, naming the table, when a wanted id occurs twice in `ids`: then the row is not known.
    """
    row_of: dict[str, int] = {}
    repeated: set[str] = set()
    for row, one in enumerate(ids):
        if row_of.setdefault(one, row) != row:
            repeated.add(one)
    wanted = list(wanted)
    if repeated and (found := sorted(repeated.intersection(wanted))):
        raise DataError("an id occurs twice", where=name, expected="every id once", offenders=list(map(repr, found)))
    return np.array([row_of.get(one, -1) for one in wanted], dtype=np.int64)


def check_same_ids(left: Iterable[str], right: Iterable[str], *, names: tuple[str, str]) -> None:
    """Raise DataError unless both sides hold the same ids; it names both, the counts and the first differences."""
    left, right = set(left), set(right)
    if left == right:
        return
    parts = []
    for mine, other, name in ((left, right, names[0]), (right, left, names[1])):
        only = sorted(mine - other)
        if only:
            shown = ", ".join(repr(item) for item in only[:3])
            parts.append(f"{len(only)} only in {name}: {shown}" + (" …" if len(only) > 3 else ""))
    raise DataError(
        "the ids of two tables differ",
        where=f"{names[0]} ({len(left)} ids) and {names[1]} ({len(right)} ids)",
        got="; ".join(parts),
        expected="the same set of ids, in any order",
        fix="use files made for the same images",
    )
