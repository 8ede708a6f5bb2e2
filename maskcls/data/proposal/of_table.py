"""The labels of a table of photos: which column is the path, which the group, and which are tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from maskcls.csvfile import check_separator
from maskcls.data.layouts.table import DECIMAL
from maskcls.data.layouts.table_columns import GROUP, PATH, SPLIT, TEST, choose_columns
from maskcls.data.proposal.columns import notes_on_names, propose_column
from maskcls.data.proposal.proposed import ProposedLabels, ProposedTask
from maskcls.data.rows import manifest
from maskcls.errors import DataError, UsageError
from maskcls.groupnouns import Noun
from maskcls.labels import CONTEST, LabelSpace
from maskcls.schema import Config, DataConfig
from maskcls.schema.contradictions import MAX_JOINT
from maskcls.schema.group_noun import group_noun
from maskcls.schema.tasks import TAKEN_NAMES

GROUP_NAMES = ("group", "person", "patient", "subject", "participant", "individual", "identity", "family", "user")
TASK_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

Columns = Mapping[str, Sequence[str]]  # of a table: N cells by name


def labels_of_table(
    table: Path, columns: Columns, *, asked: Sequence[str] = (), group: str = "auto"
) -> tuple[ProposedLabels, tuple[str, ...]]:
    """Return the labels of a table, and the paths of its rows to train on.

    table    its path, for messages.
    asked    columns that are tasks; empty: all that look like one.
    group    a value of `data.group`; auto: the first column with the name of a group.

    Raises UsageError for a column that was asked for and does not exist, DataError for one that cannot be a task, and
    for a table in which none can.
    """
    if missing := [name for name in asked if name not in columns]:
        raise UsageError("no such column", where="--task", got=", ".join(missing), expected=", ".join(columns))
    group = _group_column(columns) if group == "auto" else group
    used = choose_columns(table, list(columns), (), group).names
    if PATH not in used:
        check_separator(table, list(columns), [PATH])
        fix = "give the column with the files of the photos the name path"
        raise DataError("the table has no column path", where=f"{table}, line 1", got=", ".join(columns), fix=fix)
    rows = len(columns[used[PATH]])
    columns = _rows_to_train_on(columns, used)
    groups = columns[used.get(GROUP, used[PATH])]
    tasks, left_out = _tasks(columns, asked or [name for name in columns if name not in used.values()], groups, asked)
    if not tasks or (asked and left_out):
        listed = [f"{name}: {reason}" for name, reason in left_out.items()]
        what = "these columns cannot be tasks" if asked else "no column of the table can be a task"
        raise DataError(what, where=str(table), offenders=listed, fix="name columns of labels with --task COLUMN")
    noun = group_noun(Config(data=DataConfig(format="table", group=group)))
    labels = ProposedLabels(
        data={"format": "table", "group": group},
        columns={group: _why(group, noun)},
        tasks=tuple(tasks),
        noun=noun,
        photos=len(groups),
        groups=len(set(groups)),
        left_out=left_out,
        notes=tuple(note for one in tasks for note in notes_on_names(one.task.name, one.task.classes)),
        to_predict=len(groups) < rows,
    )
    return labels, tuple(columns[used[PATH]])


def _group_column(columns: Columns) -> str:
    """Return the first column with the name of a group, also as in patient_id; "none" without one."""
    named = {name.casefold().removesuffix("_id").removesuffix(" id"): name for name in reversed(list(columns))}
    return next((named[name] for name in GROUP_NAMES if name in named), "none")


def _why(group: str, noun: Noun) -> str:
    if group == "none":
        return "no column is named like a group, so every photo is a group of its own"
    return f"photos of one {noun[0]} are never in different folds"


def _rows_to_train_on(columns: Columns, used: Mapping[str, str]) -> Columns:
    """Return the columns without the rows whose cell of the column `split` is test."""
    if SPLIT not in used:
        return columns
    kept = [row for row, cell in enumerate(columns[used[SPLIT]]) if cell.casefold() != TEST]
    return {name: [cells[row] for row in kept] for name, cells in columns.items()}


def _tasks(
    columns: Columns, names: Sequence[str], groups: Sequence[str], asked: Sequence[str]
) -> tuple[list[ProposedTask], dict[str, str]]:
    """Return the tasks, those of the contest first and in its order; and why the other columns are none."""
    found = {name: _task(name, columns[name], groups, asked=name in asked) for name in names}
    tasks = [one for one in found.values() if isinstance(one, ProposedTask)]
    left_out = {name: one for name, one in found.items() if isinstance(one, str)}
    while LabelSpace(tuple(one.task for one in tasks)).size > MAX_JOINT:
        largest = max(tasks, key=lambda one: len(one.task.classes))
        tasks.remove(largest)
        count = len(largest.task.classes)
        left_out[largest.task.name] = f"with its {count} classes, all tasks have more than {MAX_JOINT} joint classes"
    order = CONTEST.names
    tasks.sort(key=lambda one: order.index(one.task.name) if one.task.name in order else len(order))
    return tasks, left_out


def _task(column: str, cells: Sequence[str], groups: Sequence[str], *, asked: bool) -> ProposedTask | str:
    name = column.lower()
    if name in TAKEN_NAMES:
        return "maskcls uses this name itself; give the column another one"
    if not TASK_NAME.fullmatch(name):
        return "the name of a task has letters a to z, digits and _; give the column such a name"
    return propose_column(name, cells, _numbers(cells, name), groups, asked=asked)


def _numbers(cells: Sequence[str], name: str) -> list[int | None] | None:
    """Return the numbers of a column, rounded down as its reader does; None if a cell is no number >= 0."""
    limit = manifest.MAX_AGE_YEARS if name == "age" else manifest.MAX_VALUE
    whole = {cell: cell.partition(".")[0] if re.fullmatch(DECIMAL, cell) else cell for cell in set(cells)}
    try:
        number = {cell: manifest.whole_number(text, limit) if text else None for cell, text in whole.items()}
    except ValueError:
        return None
    return [number[cell] for cell in cells]
