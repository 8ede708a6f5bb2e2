"""Turn the text of a table of added rows into numbers; every cell that is wrong is named with its row.

N rows. `called` is what messages call the rows, such as "pseudo labels".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from maskcls.errors import DataError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.added.added_set import AddedSet
from maskcls.results.added.set_names import ALL, SET, set_name, set_number
from maskcls.results.scores.metrics import Doubles
from maskcls.spelling import lookalikes, meant

DIGITS = re.compile(r"[0-9.e+-]*")
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")


def set_cells(columns: Mapping[str, Sequence[str]], path: Path, called: str) -> Ints:
    """Return the set (N,) of each row, REFIT for "all", which is the set of a table without the column."""
    cells = columns.get("set", [ALL] * len(columns["id"]))
    known = {name: set_number(name) for name in cells if SET.fullmatch(name)}
    return cell_codes(cells, known, f"{path}, column set", called, expected="a fold's number, or all")


def label_cells(columns: Mapping[str, Sequence[str]], space: LabelSpace, path: Path, called: str) -> dict[str, Ints]:
    """Return the class index (N,) of each task, -1 for an empty cell."""
    return {
        task.name: cell_codes(
            columns[task.name],
            {"": UNKNOWN} | {name: label for label, name in enumerate(task.classes)},
            f"{path}, column {task.name}",
            called,
            expected=f"{', '.join(task.classes)}, or nothing",
        )
        for task in space.tasks
    }


def sets_of(
    columns: Mapping[str, Sequence[str]], space: LabelSpace, path: Path, called: str, prob_NJ: Floats | None = None
) -> dict[int, AddedSet]:
    """Turn a table of text into sets; DataError for a cell that is no set, no class or no number.

    prob_NJ  (N, J) float32, the soft targets; None for hard labels.
    """
    fold_N, labels = set_cells(columns, path, called), label_cells(columns, space, path, called)
    weight_N = cell_numbers(columns.get("weight", ["1"] * len(fold_N)), f"{path}, column weight", called)
    ids, paths = (np.array(columns[name], dtype=np.str_) for name in ("id", "path"))
    return {
        fold: AddedSet(
            ids[at],
            paths[at],
            {name: label_N[at] for name, label_N in labels.items()},
            None if prob_NJ is None else prob_NJ[at],
            weight_N[at],
        )
        for fold in np.unique(fold_N).tolist()
        for at in [np.flatnonzero(fold_N == fold)]
    }


def cell_codes(column: Sequence[str], known: Mapping[str, int], where: str, called: str, *, expected: str) -> Ints:
    """Return the number (N,) of each cell's text; DataError for text that is not known."""
    wrong = [f"row {row}: {text!r}{meant(text, known)}" for row, text in enumerate(column, 1) if text not in known]
    if wrong:
        raise DataError(f"a cell of {called} is wrong", where=where, expected=expected, offenders=wrong)
    return np.array([known[text] for text in column], dtype=np.int64)


def cell_numbers(column: Sequence[str], where: str, called: str) -> Doubles:
    """Return a column (N,) of numbers from 0; DataError for text that is none."""
    try:
        if not DIGITS.fullmatch("".join(column)):  # float() takes nan, spaces and 1_0 too
            raise ValueError
        return np.fromiter(map(float, column), dtype=np.float64, count=len(column))
    except ValueError:
        wrong = [f"row {row}: {text!r}" for row, text in enumerate(column, 1) if not NUMBER.fullmatch(text)]
    raise DataError(f"a cell of {called} is wrong", where=where, expected="a number from 0", offenders=wrong)


def refuse_lookalikes(ids: Sequence[str], path: Path, called: str) -> None:
    """Raise DataError for ids that look the same and are not."""
    if faults := lookalikes(ids):
        raise DataError(
            f"ids of {called} look the same",
            where=f"{path}, column id",
            offenders=faults,
            fix="give every id one spelling",
        )


def refuse_other_sets(found: set[int], expected: set[int], path: Path, called: str, again: str) -> None:
    """Raise DataError unless these sets are there. again: how the table is made again."""
    if found != expected:
        raise DataError(
            f"the sets of {called} are not those expected",
            where=f"{path}, column set",
            got=", ".join(map(set_name, sorted(found))),
            expected=", ".join(map(set_name, sorted(expected))),
            fix=f"{again}; a table made by hand has the set all alone",
        )
