"""The table layout: any CSV table of photos, with one row per photo and one column per task.

Columns: `path`, relative to the table's own folder, which is also the row's id; `group`, the person or other group that
must not be divided between folds; one column per task, with the exact name of a class or, for a task with bins, a whole
number. An empty cell is an unknown label.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from maskcls.csvfile import read_csv
from maskcls.data.layouts.fixes import COLUMNS, FixRow, Relabelling
from maskcls.data.layouts.layout import Layout, Listing
from maskcls.data.layouts.paths import file_faults, path_fault
from maskcls.data.rows import manifest
from maskcls.errors import DataError
from maskcls.labels import CONTEST, LabelSpace
from maskcls.spelling import appearance, lookalikes

MASK_ONLY = CONTEST.only(["mask"])  # any label space will do where only photos and groups are read


def read_table(csv: Path, space: LabelSpace, *, labelled: bool, fixes: Path | None = None) -> pd.DataFrame:
    """Read a table into a manifest.

    labelled  True: the columns `path`, `group` and every task's are required, each row must have at least one label,
              and each class must occur; rows are sorted by the bytes of the path. False (rows to predict): only `path`
              is read, and the rows keep their order.
    fixes     a CSV of corrections, see `read_table_fixes`; they replace cells of labelled rows, no file is changed.

    Raises DataError that lists every wrong row.
    """
    needed = ["path", "group", *space.names] if labelled else ["path"]
    rows = read_csv(csv, required=needed)
    faults = _path_faults(csv.parent, rows["path"])
    if not labelled:
        _raise(csv, faults)
        return manifest.build(rows["path"].tolist(), rows["path"].tolist(), space, split="eval")
    if fixes is not None:
        rows = _with_fixes(rows, read_table_fixes(fixes, rows, space))
    parsed = {task.name: manifest.parse_column(task, rows[task.name], empty_ok=True) for task in space.tasks}
    faults += [fault for column in parsed.values() for fault in column[2]]
    faults += _group_faults(rows["group"])
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
    # Sorting by code points equals sorting by UTF-8 bytes; it does not depend on machine or locale.
    return frame.sort_values("id", ignore_index=True)


def _path_faults(root: Path, paths: pd.Series) -> list[str]:
    again = "is on an earlier line too"
    texts, repeated = paths.tolist(), paths.duplicated().tolist()  # lists: iterating over a pandas column is slow
    faults = [path_fault(text) or (again if twice else None) for text, twice in zip(texts, repeated, strict=True)]
    safe = [text for text, fault in zip(texts, faults, strict=True) if fault is None]
    found = iter(file_faults(root, safe))
    faults = [fault or next(found) for fault in faults]
    cells = zip(paths.index, texts, faults, strict=True)
    wrong = [f"line {n}, column path: {path!r} {fault}" for n, path, fault in cells if fault] if any(faults) else []
    return wrong + [f"column path: {fault}" for fault in lookalikes(texts, _lines(paths))]


def _group_faults(groups: pd.Series) -> list[str]:
    """Return the errors of the names of people: empty ones, and one person under two spellings."""
    names = groups.tolist()
    empty = [
        f"line {n}, column group: empty" for n, name in zip(groups.index, names, strict=True) if not appearance(name)
    ]
    return empty + [f"column group: {fault}" for fault in lookalikes(names, _lines(groups))]


def _lines(cells: pd.Series) -> list[str]:
    return [f"line {n}" for n in cells.index.tolist()]


def _check_occurring(csv: Path, frame: pd.DataFrame, space: LabelSpace) -> None:
    absent = manifest.absent_classes(frame, space)
    if absent:
        fix = "correct the table, or remove the class from `tasks`"
        raise DataError("a declared class never occurs", where=str(csv), offenders=absent, fix=fix)


def _raise(csv: Path, faults: list[str]) -> None:
    if faults:
        raise DataError("the table is not as expected", where=str(csv), offenders=faults)


def _check(data: Path) -> None:
    if data.is_dir():
        fix = "name the CSV file, or set data.format=contest"
        raise DataError("a table is a CSV file", where=str(data), got="a folder", fix=fix)


def read_table_fixes(fixes: Path, table: pd.DataFrame, space: LabelSpace) -> dict[tuple[str, str], str]:
    """Read corrections of a table's cells into {(path, task): cell}.

    The CSV has the columns path, field and value: a photo's path as in the table, one of its columns, and the correct
    cell. Corrections of columns that are no task are not used, so that one file suits several configurations. Raises
    DataError that lists every row with an unknown path or column, a wrong cell or a contradiction.
    """
    rows = read_csv(fixes, required=COLUMNS, allow_empty=True)
    paths, names = set(table["path"]), [name for name in table.columns if name not in ("path", "group")]
    faults = [f"line {n}: no photo {path!r} in the table" for n, path in rows["path"].items() if path not in paths]
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
        raise DataError("corrections cannot be applied", where=str(fixes), offenders=faults)
    return fixed


def _with_fixes(rows: pd.DataFrame, fixed: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    columns = {
        name: [fixed.get((path, name), cell) for path, cell in zip(rows["path"], rows[name], strict=True)]
        for name in {name for _, name in fixed}
    }
    return rows.assign(**columns)


def _fix_rows(relabelling: Relabelling) -> list[FixRow]:
    return [(id, relabelling.task, value) for id, value in zip(relabelling.ids, relabelling.values, strict=True)]


def _read_labelled(data: Path, space: LabelSpace, fixes: Path | None) -> pd.DataFrame:
    return read_table(data, space, labelled=True, fixes=fixes)


def _read_unlabelled(data: Path, space: LabelSpace) -> pd.DataFrame:
    return read_table(data, space, labelled=False)


def _read_people(data: Path) -> pd.DataFrame:
    frame = read_table(data, MASK_ONLY, labelled=False)
    person = read_csv(data, required=["path", "group"])["group"]
    _raise(data, _group_faults(person))
    return frame.assign(person=person.tolist())


def _ids(data: Path) -> list[str]:
    ids: list[str] = read_csv(data, required=["path"])["path"].tolist()
    return ids


def _list_photos(data: Path) -> Listing:
    return Listing((data.name,), tuple(read_table(data, MASK_ONLY, labelled=False)["path"].tolist()), ())


LAYOUT = Layout(
    recognises=lambda data: data.is_file(),
    check=_check,
    image_root=lambda data: data.parent,
    read_labelled=_read_labelled,
    fix_rows=_fix_rows,
    read_unlabelled=_read_unlabelled,
    read_people=_read_people,
    unlabelled_ids=_ids,
    list_photos=_list_photos,
    has_labelled=lambda data: False,
    has_unlabelled=lambda data: False,
    in_parts=False,
    id_column="path",
    task_columns=True,
    prescribed=lambda data: None,
)
