"""Read any CSV table of photos into a manifest: one row a photo, one column a task.

Columns: `path`, relative to the table's own folder and the row's id; `group`, the person or other group that must not
cross a fold; one column a task, with a class's name exactly or, for a task with bins, a whole number. An empty cell is
an unknown label.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from maskcls.csvfile import read_csv
from maskcls.data.layouts.paths import file_faults, path_fault
from maskcls.data.rows import manifest
from maskcls.errors import DataError
from maskcls.labels import LabelSpace


def read_table(csv: Path, space: LabelSpace, *, labelled: bool) -> pd.DataFrame:
    """Read a table into a manifest.

    labelled  True: `path`, `group` and every task's column are required, each row knows at least one label, and each
              class occurs; rows come sorted by the bytes of the path. False (rows to predict): only `path` is read,
              and the rows keep their order.

    Raises DataError that lists every row at fault.
    """
    needed = ["path", "group", *space.names] if labelled else ["path"]
    rows = read_csv(csv, required=needed)
    faults = _path_faults(csv.parent, rows["path"])
    if not labelled:
        _raise(csv, faults)
        return manifest.build(rows["path"].tolist(), rows["path"].tolist(), space, split="eval")
    parsed = {task.name: manifest.parse_column(task, rows[task.name], empty_ok=True) for task in space.tasks}
    faults += [fault for column in parsed.values() for fault in column[2]]
    faults += [f"line {n}, column group: empty" for n in rows.index[rows["group"] == ""]]
    unlabelled = (rows[list(space.names)] == "").all(axis=1)
    faults += [f"line {n}: no label at all; remove the row" for n in rows.index[unlabelled]]
    _raise(csv, faults)
    frame = manifest.build(
        rows["path"].tolist(),
        rows["path"].tolist(),
        space,
        person=rows["group"].tolist(),
        labels={name: column[0] for name, column in parsed.items()},
        values={name: column[1] for name, column in parsed.items()},
    )
    _check_occurring(csv, frame, space)
    # Code points sort like their UTF-8 bytes, on every machine and in every locale.
    return frame.sort_values("id", ignore_index=True)


def _path_faults(root: Path, paths: pd.Series) -> list[str]:
    again = "stands on an earlier line too"
    texts, repeated = paths.tolist(), paths.duplicated().tolist()  # lists: a pandas column is slow to walk along
    faults = [path_fault(text) or (again if twice else None) for text, twice in zip(texts, repeated, strict=True)]
    safe = [text for text, fault in zip(texts, faults, strict=True) if fault is None]
    found = iter(file_faults(root, safe))
    faults = [fault or next(found) for fault in faults]
    if not any(faults):
        return []
    cells = zip(paths.index, texts, faults, strict=True)
    return [f"line {n}, column path: {path!r} {fault}" for n, path, fault in cells if fault]


def _check_occurring(csv: Path, frame: pd.DataFrame, space: LabelSpace) -> None:
    absent = manifest.absent_classes(frame, space)
    if absent:
        fix = "correct the table, or take the class out of `tasks`"
        raise DataError("a class is declared but never occurs", where=str(csv), offenders=absent, fix=fix)


def _raise(csv: Path, faults: list[str]) -> None:
    if faults:
        raise DataError("the table is not as expected", where=str(csv), offenders=faults)
