"""The labels of a table of photos: which column is the path, which the group, and which are tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from maskcls.data.proposal.columns import notes_on_names, propose_column
from maskcls.data.proposal.proposed import ProposedLabels, ProposedTask
from maskcls.data.rows import manifest
from maskcls.errors import DataError, UsageError
from maskcls.labels import CONTEST, LabelSpace
from maskcls.schema import Config, DataConfig
from maskcls.schema.contradictions import MAX_JOINT
from maskcls.schema.group_noun import group_noun
from maskcls.schema.tasks import TAKEN_NAMES

PATH, GROUP = "path", "group"
GROUP_NAMES = ("group", "person", "patient", "subject", "participant", "individual", "identity", "family", "user")
TASK_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


def labels_of_table(
    columns: Mapping[str, Sequence[str]], *, asked: Sequence[str] = (), group: str = "auto"
) -> ProposedLabels:
    """Return the labels of a table.

    columns  {column: its N cells}.
    asked    columns that are tasks; empty: all that look like one.
    group    the column of the groups, none, or auto: the first column named like a group.

    Raises UsageError for a column that does not exist, DataError for one that was asked for and cannot be a task, and
    for a table in which none can.
    """
    path = column_named(columns, PATH)
    for name in (*asked, *([group] if group not in ("auto", "none") else [])):
        if name not in columns:
            raise UsageError("no such column", got=repr(name), expected=", ".join(columns))
    group = _group_column(columns) if group == "auto" else group
    groups = columns[path] if group == "none" else columns[group]
    others = asked or [name for name in columns if name not in (path, group)]
    found = {name: _task(name, columns[name], groups, asked=name in asked) for name in others}
    tasks = [one for one in found.values() if isinstance(one, ProposedTask)]
    left_out = {name: one for name, one in found.items() if isinstance(one, str)}
    if asked and left_out:
        listed = [f"{name}: {reason}" for name, reason in left_out.items()]
        raise DataError("these columns cannot be tasks", offenders=listed)
    tasks, too_many = _few_joint_classes(tasks)
    if not tasks:
        listed = [f"{name}: {reason}" for name, reason in left_out.items()]
        raise DataError("no column of the table can be a task", offenders=listed, fix="name one with --task COLUMN")
    settings = {"format": "table"} | ({"group": group} if group != GROUP else {})
    return ProposedLabels(
        data=settings,
        columns=_why(group),
        tasks=tuple(_in_contest_order(tasks)),
        noun=group_noun(Config(data=DataConfig(format="table", group=group))),
        photos=len(groups),
        groups=len(set(groups)),
        left_out=left_out | too_many,
        notes=tuple(note for one in tasks for note in notes_on_names(one.task.name, one.task.classes)),
    )


def column_named(columns: Mapping[str, Sequence[str]], name: str) -> str:
    """Return the column of this name, in upper or lower case; DataError without one."""
    same = [column for column in columns if column.casefold() == name]
    if name in columns:
        return name
    if len(same) == 1:
        return same[0]
    got, fix = ", ".join(columns), f"name the column with the files of the photos {name!r}"
    raise DataError(f"the table has no column {name!r}", got=got, fix=fix)


def _group_column(columns: Mapping[str, Sequence[str]]) -> str:
    """Return the first column with the name of a group, also as in patient_id; "none" without one."""
    named = {column.casefold().removesuffix("_id").removesuffix(" id"): column for column in reversed(list(columns))}
    return next((named[name] for name in GROUP_NAMES if name in named), "none")


def _why(group: str) -> dict[str, str]:
    if group == "none":
        return {group: "no column is named like a group: every photo is a group of its own, see --group"}
    return {group: "photos of one group are never in different folds"}


def _task(column: str, cells: Sequence[str], groups: Sequence[str], *, asked: bool) -> ProposedTask | str:
    name = column.lower()
    if name in TAKEN_NAMES:
        return "maskcls uses this name itself; give the column another one"
    if not TASK_NAME.fullmatch(name):
        return "a task's name has letters a to z, digits and _ only; give the column such a name"
    return propose_column(name, cells, _numbers(cells, name), groups, asked=asked)


def _numbers(cells: Sequence[str], name: str) -> list[int | None] | None:
    """Return the whole numbers of a column; None if a cell holds something else."""
    limit = manifest.MAX_AGE_YEARS if name == "age" else manifest.MAX_VALUE
    try:
        number = {cell: manifest.whole_number(cell, limit) if cell else None for cell in set(cells)}
    except ValueError:
        return None
    return [number[cell] for cell in cells]


def _few_joint_classes(tasks: list[ProposedTask]) -> tuple[list[ProposedTask], dict[str, str]]:
    """Leave out the tasks with the most classes until the joint classes are few enough."""
    left_out: dict[str, str] = {}
    tasks = list(tasks)
    while LabelSpace(tuple(one.task for one in tasks)).size > MAX_JOINT:
        largest = max(tasks, key=lambda one: len(one.task.classes))
        tasks.remove(largest)
        count = len(largest.task.classes)
        left_out[largest.task.name] = f"with its {count} classes, the tasks have more than {MAX_JOINT} joint classes"
    return tasks, left_out


def _in_contest_order(tasks: list[ProposedTask]) -> list[ProposedTask]:
    """Return the contest's tasks in its order and before the others, so that they are numbered as there."""
    names = CONTEST.names
    return sorted(tasks, key=lambda one: names.index(one.task.name) if one.task.name in names else len(names))
