"""Which column of a table is which: the path, the group, the split and the tasks, and what is said about the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls.errors import DataError
from maskcls.spelling import appearance

PATH, GROUP, SPLIT = "path", "group", "split"
PATHS = (PATH, "image", "file", "filename", "filepath", "image_path", "img")  # names of the column with the photo
TEST = "test"
PARTS = ("train", "training", "val", "valid", "validation", TEST)  # cells of the column `split`


@dataclass(frozen=True)
class TableColumns:
    """Which columns of a table are used.

    names  the name in the table's first line, by what the column is: `path`, `group`, `split`, or a task. What is
           needed and not there is missing here too; the reader reports it.
    taken  columns that do not have the usual name, such as "'Label' as label".
    """

    names: Mapping[str, str]
    taken: tuple[str, ...]


def choose_columns(table: Path, header: Sequence[str], tasks: Sequence[str], group: str) -> TableColumns:
    """Return the columns of a table with this first line.

    tasks  their names; [] if labels are not read.
    group  "auto": the column `group`, if there is one; "none": no column; else the name of a column.

    A name may differ in upper and lower case; the column with the photo may have any name of `PATHS`, but `path` comes
    first. Raises DataError that names all candidates where there are several, and for columns that only look like the
    wanted one.
    """
    if GROUP in tasks and group != "auto":
        raise DataError("a task is named group", where=f"data.group={group}", fix="rename the task and its column")
    wanted = {PATH: (PATH,) if PATH in header else PATHS} | {name: (name,) for name in tasks}
    if group != "none":
        wanted[GROUP] = (GROUP,) if group == "auto" else (group,)
    if SPLIT not in tasks and group.casefold() != SPLIT:
        wanted[SPLIT] = (SPLIT,)
    found = {what: _column(table, header, what, names) for what, names in wanted.items()}
    if group not in ("auto", "none") and found[GROUP] is None:
        got, fix = ", ".join(map(repr, header)), "name one of the columns, or set data.group=none"
        raise DataError("there is no column of this name", where=f"{table}: data.group={group}", got=got, fix=fix)
    names = {what: name for what, name in found.items() if name is not None}
    taken = [f"{name!r} as {wanted[what][0]}" for what, name in names.items() if name != wanted[what][0]]
    return TableColumns(names, tuple(taken))


def _column(table: Path, header: Sequence[str], what: str, names: Sequence[str]) -> str | None:
    """Return the one column with one of these names, in any case; None without one."""
    known = {name.casefold() for name in names}
    near = [name for name in header if appearance(name).casefold() in known]
    if len(near) > 1:
        fix, got = f"keep one of them as {names[0]}, and rename the other", " and ".join(map(repr, near))
        raise DataError(f"several columns may be the {what}", where=f"{table}, line 1", got=got, fix=fix)
    if near and near[0].casefold() not in known:
        fix = "give the column that name, or another one that does not look like it"
        faults = [f"{near[0]!r}: did you mean {appearance(near[0]).casefold()!r}?"]
        raise DataError("columns are spelled differently", where=f"{table}, line 1", offenders=faults, fix=fix)
    return near[0] if near else None
