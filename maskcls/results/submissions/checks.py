"""Checks of a submission's rows: columns, ids, order and labels; each check lists all faults.

N rows, J joint classes. Ids are text: `001498-1` and `1498` are different people.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from maskcls.labels import UNKNOWN, Ints, LabelSpace
from maskcls.results.submissions.answers import ANSWER
from maskcls.spelling import appearance, lookalikes

Status = Literal["ok", "warning", "FAILED", "skipped"]
Columns = Mapping[str, Sequence[str]]

LOOSE = re.compile(r"^.*/|(?<=\d)-\d+(?=\.|$)|\.[a-z]+$")  # a folder, a suffix such as -1, an ending


@dataclass(frozen=True)
class Check:
    """The result of one check. about: what was found, in a few words; faults: all of them."""

    name: str
    verdict: Status
    about: str
    faults: tuple[str, ...] = ()


def check_of(name: str, about: str, faults: Sequence[str], *, bad: Status = "FAILED") -> Check:
    """Return a check that is ok without faults, and `bad` with some."""
    return Check(name, bad if faults else "ok", about, tuple(faults))


def check_header(columns: Columns, expected: Sequence[str]) -> Check:
    """Compare the columns' names and their order with the expected ones; all after the label may be left out."""
    found = ", ".join(columns)
    right = list(columns) in (list(expected), list(expected[:2]))
    faults = [] if right else [f"found {found}; expected {', '.join(expected)}"]
    return check_of("header", found, faults)


def check_ids(ids: Sequence[str], asked: Sequence[str]) -> Check:
    """Compare the ids with those expected, in any order: each as often as expected, and no other."""
    found, wanted = Counter(ids), Counter(asked)
    missing, extra = wanted - found, found - wanted
    close = {_loose(name): name for name in missing}
    faults = [f"{name!r} is missing" for name in missing]
    for name in extra:
        near = close.get(_loose(name))
        hint = f", but {near!r}" if near is not None else ""
        again = f"occurs {found[name]} times, expected {wanted[name]}" if name in wanted else "is not expected"
        faults.append(f"{name!r} {again}{hint}")
    return check_of("ids", f"{len(ids):,} rows, {len(asked):,} expected", faults)


def check_order(ids: Sequence[str], asked: Sequence[str]) -> Check:
    """Compare the order of the ids with the expected order; skipped when they are not the same ids."""
    if Counter(ids) != Counter(asked):
        return Check("order", "skipped", "the ids are not those expected")
    pairs = enumerate(zip(ids, asked, strict=True), 1)
    faults = [f"row {row}: {name!r}, expected {wanted!r}" for row, (name, wanted) in pairs if name != wanted]
    return check_of("order", f"{len(faults):,} rows out of place" if faults else "as expected", faults)


def check_distinct(ids: Sequence[str]) -> Check:
    """Look for ids that are empty, occur twice or look the same, when the expected ids are not known."""
    faults = [f"row {row}: empty" for row, name in enumerate(ids, 1) if not name]
    faults += [f"{name!r} occurs {times} times" for name, times in Counter(ids).items() if times > 1]
    faults += lookalikes(ids)
    return check_of("ids", f"{len(ids):,} rows", faults)


def check_labels(ids: Sequence[str], cells: Sequence[str], space: LabelSpace) -> tuple[Check, Ints]:
    """Look for cells that are not one whole number 0..J-1 in plain digits, and ids with two labels.

    Returns the check, and the labels (N,) with -1 where there is none.
    """
    known = {str(label): label for label in range(space.size)}
    labels_N = np.array([known.get(cell, UNKNOWN) for cell in cells], dtype=np.int64)
    rows = zip(range(1, len(ids) + 1), ids, cells, strict=True)
    faults = [f"row {row}, {name!r}: {cell!r}" for row, name, cell in rows if cell not in known]
    first = dict(zip(reversed(ids), reversed(cells), strict=True))
    pairs = zip(ids, cells, strict=True)
    faults += [f"{name!r}: labels {first[name]!r} and {cell!r}" for name, cell in pairs if cell != first[name]]
    return check_of("labels", f"whole numbers 0..{space.size - 1}", faults), labels_N


def check_task_columns(ids: Sequence[str], columns: Columns, labels_N: Ints, space: LabelSpace) -> Check:
    """Compare the tasks' columns, where there are any, with the joint labels."""
    given, part_of = [task for task in space.tasks if task.name in columns], space.decode(labels_N)
    faults = [
        f"{name!r}: {task.name} {cell!r}, but {ANSWER} is {task.classes[label]!r}"
        for task in given
        for name, cell, label in zip(ids, columns[task.name], part_of[task.name].tolist(), strict=True)
        if label != UNKNOWN and cell != task.classes[label]
    ]
    return check_of("tasks", ", ".join(task.name for task in given) or "no column per task", faults)


def _loose(name: str) -> str:
    """Return an id without what a careless tool drops or adds: spelling, folder, leading zeros, suffix, ending."""
    return LOOSE.sub("", appearance(name).lower()).lstrip("0")
