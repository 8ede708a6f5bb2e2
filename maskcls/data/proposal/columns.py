"""Which column of a table is a task, and why the others are not.

A column of text with few different values is a task with these classes. A column of whole numbers is a task with
classes if it has few different values, else one with bins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from maskcls.data.layouts.folder_scan import natural_key
from maskcls.data.proposal.number_bins import CONTEST_BORDERS, bin_names, contest_borders_fit, propose_bins
from maskcls.data.proposal.proposed import ProposedTask
from maskcls.labels import CONTEST, Task

MOST_CLASSES = 50  # of text; more are names or descriptions
FEWEST_PER_CLASS = 5  # photos on average, or the values are rather names
FEW_NUMBERS = 10  # different whole numbers that are classes
AGES = ("age", "ages", "age_years", "years")
NO_VALUE = ("nan", "na", "n/a", "#n/a", "null", "?")  # what other programs write for an empty cell


def propose_column(
    name: str,
    cells: Sequence[str],
    numbers: Sequence[int | None] | None,
    groups: Sequence[str],
    *,
    asked: bool,
) -> ProposedTask | str:
    """Return the task of a column, or the reason why it is none.

    name     name of the task.
    cells    N texts; "" is an unknown label.
    numbers  N whole numbers >= 0 of these cells, None for an empty one; None if a cell is something else.
    groups   N names of groups.
    asked    whether the user asked for this column: only a column without two values is refused then.
    """
    known = [cell for cell in cells if cell]
    values = Counter(known)
    if len(values) < 2:
        return "it is empty" if not values else f"all its values are {known[0]!r}"
    binned = numbers is not None and len(values) > FEW_NUMBERS
    if not asked and (reason := _not_classes(name, values, cells, groups, binned=binned)):
        return reason
    if not binned:
        numeric = numbers is not None and not any("." in cell for cell in values)
        return _with_classes(name, cells, groups, values, numeric=numeric)
    assert numbers is not None
    kind = "numbers, rounded down," if any("." in cell for cell in values) else "whole numbers"
    return _with_bins(name, numbers, groups, kind)


def _not_classes(
    name: str, values: Counter[str], cells: Sequence[str], groups: Sequence[str], *, binned: bool
) -> str | None:
    known = sum(values.values())
    if len(values) == known and not (binned and name in AGES):
        return "all its values are different"
    if binned:
        return None
    pairs = {(cell, group) for cell, group in zip(cells, groups, strict=True) if cell}
    if len(values) > 2 and len(pairs) == len(values) == len(set(groups)):
        return "it has another value for every group, like a second name of the groups"
    if len(values) > MOST_CLASSES or len(values) > max(3, known // FEWEST_PER_CLASS):
        return f"it has {len(values)} different values on {known} photos, too many for classes"
    return None


def _with_classes(
    name: str, cells: Sequence[str], groups: Sequence[str], values: Counter[str], *, numeric: bool
) -> ProposedTask:
    contest = next((task for task in CONTEST.tasks if task.name == name and not task.bins), None)
    if contest is not None and set(values) == set(contest.classes):
        task, reason = contest, "the classes of the contest, in its order"
    else:
        task = Task(name, tuple(sorted(values, key=natural_key)))
        reason = f"{len(values)} different {'whole numbers' if numeric else 'values'}"
    return counted(task, [task.classes.index(cell) if cell else -1 for cell in cells], groups, reason)


def _with_bins(name: str, numbers: Sequence[int | None], groups: Sequence[str], kind: str) -> ProposedTask | str:
    known = [number for number in numbers if number is not None]
    span = f"{kind} from {min(known)} to {max(known)}"
    if name in AGES and contest_borders_fit(known):
        borders: tuple[int, ...] = CONTEST_BORDERS
        reason = f"{span}; the borders of ages that the contest uses"
    else:
        borders, reason = propose_bins(known), f"{span}; borders near the tertiles"
    if not borders:
        return f"{span}, but most of them are equal: no borders divide them"
    task = Task(name, bin_names(borders), borders)
    label_N = task.band(np.array([-1 if number is None else number for number in numbers], dtype=np.int64))
    return counted(task, label_N.tolist(), groups, reason)


def counted(task: Task, label_N: Sequence[int], groups: Sequence[str], reason: str) -> ProposedTask:
    """Count photos and groups per class. label_N: N class indices, -1 = unknown; groups: N names."""
    photos = Counter(label_N)
    pairs = Counter(label for label, _ in set(zip(label_N, groups, strict=True)))
    every = range(len(task.classes))
    return ProposedTask(task, tuple(photos[i] for i in every), tuple(pairs[i] for i in every), photos[-1], reason)


def notes_on_names(column: str, classes: Sequence[str]) -> list[str]:
    """Return notes for classes that differ in upper and lower case only, and for names that often mean no value."""
    by_case: dict[str, list[str]] = {}
    for name in classes:
        by_case.setdefault(name.casefold(), []).append(name)
    no_value = [
        f"{column}: {name!r} is taken as a class; empty these cells if it means that the label is not known"
        for name in classes
        if name.casefold() in NO_VALUE
    ]
    return no_value + [
        f"{column}: {' and '.join(map(repr, same))} are different classes; correct the cells if they mean the same"
        for same in by_case.values()
        if len(same) > 1
    ]
