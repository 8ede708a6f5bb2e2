"""Corrections of layouts whose rows are named by the path of a photo: one row per photo and task."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from maskcls.csvfile import read_csv
from maskcls.data.layouts.fixes import COLUMNS, FixRow, Relabelling
from maskcls.data.rows import manifest
from maskcls.errors import DataError
from maskcls.labels import LabelSpace


def read_row_fixes(fixes: Path, table: pd.DataFrame, space: LabelSpace) -> dict[tuple[str, str], str]:
    """Read corrections of photos into {(path, task): cell}.

    table  the rows to train on as text: `path`, and a column per task; other columns may be named in corrections too.

    The CSV has the columns path, field and value: a photo's path as in the table, one of its columns, and the correct
    cell. Corrections of columns that are no task are not used, so that one file suits several configurations. Raises
    DataError that lists every row with an unknown path or column, a wrong cell or a contradiction.
    """
    rows = read_csv(fixes, required=COLUMNS, allow_empty=True)
    paths, names = set(table["path"]), [name for name in table.columns if name not in ("path", "group")]
    faults = [f"line {n}: no photo {path!r} in the data set" for n, path in rows["path"].items() if path not in paths]
    expected = ", ".join(map(repr, names))
    faults += [
        f"line {n}: field {name!r}, expected {expected}" for n, name in rows["field"].items() if name not in names
    ]
    fixed: dict[tuple[str, str], str] = {}
    for task in space.tasks:
        own = rows[rows["field"] == task.name]
        wrong = manifest.parse_column(task, own["value"].rename(task.name), empty_ok=True)[2]
        faults += [fault.replace(f"column {task.name}", "column value") for fault in wrong]
        for line, path, value in zip(own.index, own["path"], own["value"], strict=True):
            if fixed.setdefault((path, task.name), value) != value:
                earlier = fixed[path, task.name]
                faults.append(f"line {line}: {path}: {task.name} is {earlier!r} on an earlier line, here {value!r}")
    if faults:
        raise DataError(
            "corrections cannot be applied", where=str(fixes), offenders=faults, fix="correct these lines of the file"
        )
    return fixed


def photo_fix_rows(relabelling: Relabelling) -> list[FixRow]:
    """Return a correction for each photo."""
    return [(id, relabelling.task, value) for id, value in zip(relabelling.ids, relabelling.values, strict=True)]
