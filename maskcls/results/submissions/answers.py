"""Read a submission or a file of true answers, strictly: every cell must be a known label, or the error names it.

N rows, J joint classes. All columns are text; `00123`, `1e5` and `NA` are ids like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from maskcls.csvfile import read_columns
from maskcls.errors import DataError, nearest
from maskcls.labels import UNKNOWN, Ints, LabelSpace, Task
from maskcls.spelling import lookalikes, meant

ANSWER = "ans"
WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


def read_answers(path: Path, space: LabelSpace) -> tuple[list[str], dict[str, Ints]]:
    """Read ids and labels from a submission or a file of true answers.

    The first column is the id. The labels are either a column `ans` of joint classes 0..J-1, or one column per
    task with class names, whole numbers for a task with bins, and nothing for unknown. If both are there, they must
    agree. Other columns are not read.

    Returns N ids in file order and {task: (N,) int64}, -1 = unknown. Raises DataError, listing what is wrong.
    """
    columns = read_columns(path, known=(ANSWER, *space.names))
    id_name, *others = columns
    ids = list(columns[id_name])
    _check_distinct(path, id_name, ids)
    given = [task for task in space.tasks if task.name in others]
    parts = {task.name: _task_labels(path, task, ids, columns[task.name]) for task in given}
    if ANSWER not in others:
        _check_all_tasks(path, others, space)
        return ids, parts
    known = {str(label): label for label in range(space.size)}
    expected = f"a whole number in 0..{space.size - 1}"
    labels = space.decode(_codes(columns[ANSWER], known, ids, where=f"{path}, column {ANSWER}", expected=expected))
    _check_agreement(path, ids, labels, parts)
    return ids, labels


def _check_distinct(path: Path, id_name: str, ids: Sequence[str]) -> None:
    where = f"{path}, column {id_name}"
    if len(set(ids)) == len(ids):
        if faults := lookalikes(ids):
            raise DataError(
                "ids look the same",
                where=where,
                expected="one spelling of every id",
                offenders=faults,
                fix="give every id one spelling",
            )
        return
    first: dict[str, int] = {}
    repeated = [
        f"{name!r}: rows {first[name]} and {row}"
        for row, name in enumerate(ids, 1)
        if first.setdefault(name, row) != row
    ]
    raise DataError(
        "an id occurs twice",
        where=where,
        expected="every id once",
        offenders=repeated,
        fix="remove the second row of each",
    )


def _check_all_tasks(path: Path, found: Sequence[str], space: LabelSpace) -> None:
    missing = [name for name in space.names if name not in found]
    if not missing:
        return
    wanted = missing if len(missing) < len(space.names) else [ANSWER]
    hints = [f"{name!r} looks like {near!r}" for near in wanted if (name := nearest(near, found))]
    semicolons = any(";" in name or "\t" in name for name in found) or not found
    raise DataError(
        "the table has no labels",
        where=str(path),
        got=f"after the id: {', '.join(found) or 'no column'}" + (f"; {'; '.join(hints)}" if hints else ""),
        expected=f"a column {ANSWER}, or all of {', '.join(space.names)}",
        fix="separate the columns by commas" if semicolons else "name the columns exactly so",
    )


def _task_labels(path: Path, task: Task, ids: Sequence[str], column: Sequence[str]) -> Ints:
    known = {"": UNKNOWN} | {name: label for label, name in enumerate(task.classes)}
    expected = ", ".join(task.classes)
    if task.bins:
        numbers = [text for text in set(column) if WHOLE_NUMBER.fullmatch(text)]
        bands = task.band(np.array([int(text) for text in numbers], dtype=np.int64)).tolist()
        known = dict(zip(numbers, bands, strict=True)) | known
        expected += ", a whole number"
    return _codes(column, known, ids, where=f"{path}, column {task.name}", expected=f"{expected}, or nothing")


def _codes(column: Sequence[str], known: Mapping[str, int], ids: Sequence[str], *, where: str, expected: str) -> Ints:
    codes = [known.get(text) for text in column]
    wrong = [f"{ids[row]!r}: {column[row]!r}{meant(column[row], known)}" for row, c in enumerate(codes) if c is None]
    if wrong:
        raise DataError("a value is no label", where=where, expected=expected, offenders=wrong)
    return np.array(codes, dtype=np.int64)


def _check_agreement(path: Path, ids: Sequence[str], labels: Mapping[str, Ints], parts: Mapping[str, Ints]) -> None:
    for name, part_N in parts.items():
        rows = np.flatnonzero((part_N != labels[name]) & (part_N != UNKNOWN))
        if len(rows):
            raise DataError(
                f"the columns {ANSWER} and {name} contradict each other",
                where=str(path),
                fix=f"correct one, or remove the column {name}",
                offenders=[repr(ids[row]) for row in rows.tolist()],
            )
