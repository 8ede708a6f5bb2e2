"""The table layout: any CSV table of photos, with one row per photo and one column per task.

Columns: `path`, relative to the table's own folder or absolute, which is also the row's id; `group`, the person or
other group that must not be divided between folds; one column per task, with the exact name of a class or, for a task
with bins, a number; `split`, whose rows of test are to be predicted. `table_columns` says which names they may have.
An empty cell is an unknown label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from maskcls.csvfile import read_csv, read_header
from maskcls.data.layouts.layout import Layout, Listing, layout_fix
from maskcls.data.layouts.paths import located_file_faults, located_path_fault
from maskcls.data.layouts.row_fixes import photo_fix_rows, read_row_fixes
from maskcls.data.layouts.table_columns import GROUP, PARTS, PATH, SPLIT, TEST, choose_columns
from maskcls.data.photos.photo_files import kind_of_file
from maskcls.data.rows import manifest
from maskcls.errors import DataError
from maskcls.labels import CONTEST, LabelSpace
from maskcls.spelling import appearance, lookalikes

MASK_ONLY = CONTEST.only(["mask"])  # any label space will do where only photos and groups are read
DECIMAL = r"(?:0|[1-9][0-9]{0,4})\.[0-9]+"
ALONE = "no column group: every row is its own group; name one with data.group=COLUMN"
EXPECTED = "train, val or test, in upper or lower case"


def read_table(
    csv: Path, space: LabelSpace, *, labelled: bool, fixes: Path | None = None, group: str = "auto"
) -> pd.DataFrame:
    """Read a table into a manifest.

    labelled  True: the rows to train on. The column of every task is needed, each row must have at least one label, and
              each class must occur; rows are sorted by the bytes of the path. False: the rows to predict; only the
              path is read, and the rows keep their order.
    fixes     a CSV of corrections, see `read_row_fixes`; they replace cells of labelled rows, no file is changed.
    group     which rows belong together: the name of a column; "none": every row alone; "auto": the column `group`, if
              there is one.

    With a column `split`, its rows of test are those to predict, and the others those to train on; without such rows,
    all rows are both. Raises DataError that lists every wrong row.
    """
    rows, notes = _read_rows(csv, space.names if labelled else (), group if labelled else "none")
    rows = _part(rows, labelled=labelled).drop(columns=SPLIT)
    faults = _path_faults(csv.parent, rows[PATH])
    paths = rows[PATH].tolist()
    if count := sum(path.startswith("/") for path in paths):
        notes.append(f"absolute paths: {count:,}; the table fits this machine only")
    if not labelled:
        _raise(csv, faults)
        return manifest.with_notes(manifest.build(paths, paths, space, split="eval"), notes)
    rows, rounded = _whole_numbers(rows, space)
    if fixes is not None:
        rows = _with_fixes(rows, read_row_fixes(fixes, rows, space))
    parsed = {task.name: manifest.parse_column(task, rows[task.name], empty_ok=True) for task in space.tasks}
    faults += [fault for column in parsed.values() for fault in column[2]]
    faults += _group_faults(rows[GROUP]) if GROUP in rows else []
    unlabelled = (rows[list(space.names)] == "").all(axis=1)
    faults += [f"line {n}: no label at all; remove the row" for n in rows.index[unlabelled]]
    _raise(csv, faults)
    frame = manifest.build(
        paths,
        paths,
        space,
        person=rows[GROUP].tolist() if GROUP in rows else paths,
        labels={name: column[0] for name, column in parsed.items()},
        values={name: column[1] for name, column in parsed.items()},
    )
    _check_occurring(csv, frame, space)
    # Sorting by code points equals sorting by UTF-8 bytes; it does not depend on machine or locale.
    return manifest.with_notes(frame.sort_values("id", ignore_index=True), [*notes, *rounded])


def _read_rows(csv: Path, tasks: Sequence[str], group: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the table with the columns path and split, group if there is one, and these tasks; and notes."""
    columns = choose_columns(csv, read_header(csv), tasks, group)
    needed = [columns.names.get(name, name) for name in (PATH, *tasks)]
    near = (GROUP,) if group == "auto" and GROUP not in columns.names else ()  # such as `groups`: an error
    rows = read_csv(csv, required=needed, optional=near)
    own = rows.drop(columns=GROUP, errors="ignore") if GROUP not in (*columns.names, *tasks) else rows
    chosen = own.assign(**{what: rows[name] for what, name in columns.names.items()})
    notes = [f"columns of {csv.name}: {', '.join(columns.taken)}"] if columns.taken else []
    if group == "auto" and GROUP not in columns.names:
        notes.append(ALONE)
    parts = _parts(csv, chosen[SPLIT]) if SPLIT in columns.names else pd.Series("", chosen.index)
    if (tests := int((parts == TEST).sum())) and tasks:
        notes.append(f"column {SPLIT}: {len(parts) - tests:,} rows to train on, {tests:,} rows of test to predict")
    return chosen.assign(**{SPLIT: parts}), notes


def _parts(csv: Path, cells: pd.Series) -> pd.Series:
    """Return the cells of the column split in lower case; DataError for other names than those of parts."""
    parts = cells.str.casefold()
    if wrong := [f"line {n}: {cell!r}" for n, cell in cells[~parts.isin(PARTS)].items()]:
        where, fix = f"{csv}, column {SPLIT}", "correct the cells, or give the column another name"
        raise DataError("a cell names no part", where=where, expected=EXPECTED, offenders=wrong, fix=fix)
    return parts


def _part(rows: pd.DataFrame, *, labelled: bool) -> pd.DataFrame:
    """Return the rows to train on, or those to predict."""
    test = rows[SPLIT] == TEST
    return rows[~test] if labelled else rows[test] if test.any() else rows


def _whole_numbers(rows: pd.DataFrame, space: LabelSpace) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows with decimals of tasks with bins rounded down, which keeps their bin as borders are whole."""
    notes = []
    for name in (task.name for task in space.tasks if task.bins):
        decimal = rows[name].str.fullmatch(DECIMAL)
        if decimal.any():
            first = rows.loc[decimal, name].iloc[0]
            notes.append(f"column {name}: {decimal.sum():,} decimals are rounded down, such as {first}")
            rows = rows.assign(**{name: rows[name].mask(decimal, rows[name].str.partition(".")[0])})
    return rows, notes


def _path_faults(root: Path, paths: pd.Series) -> list[str]:
    again = "is on an earlier line too"
    texts, repeated = paths.tolist(), paths.duplicated().tolist()  # lists: iterating over a pandas column is slow
    faults = [
        located_path_fault(text) or (again if twice else None) for text, twice in zip(texts, repeated, strict=True)
    ]
    safe = [text for text, fault in zip(texts, faults, strict=True) if fault is None]
    found = iter(located_file_faults(root, safe))
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
        fix = "correct these lines; a path is relative to the table's folder, or absolute"
        raise DataError("the table is not as expected", where=str(csv), offenders=faults, fix=fix)


def _check(data: Path, settable: bool) -> None:
    if data.is_dir():
        fix = layout_fix("name the CSV file", "contest or folders", settable=settable)
        raise DataError("a table is a CSV file", where=str(data), got="a folder", fix=fix)
    if kind := kind_of_file(data):
        fix = "name a CSV file with the path of the photo"
        raise DataError("a table is a CSV file", where=str(data), got=f"a photo ({kind})", fix=fix)


def _with_fixes(rows: pd.DataFrame, fixed: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    columns = {
        name: [fixed.get((path, name), cell) for path, cell in zip(rows["path"], rows[name], strict=True)]
        for name in {name for _, name in fixed}
    }
    return rows.assign(**columns)


def _read_labelled(data: Path, space: LabelSpace, fixes: Path | None, group: str) -> pd.DataFrame:
    return read_table(data, space, labelled=True, fixes=fixes, group=group)


def _read_unlabelled(data: Path, space: LabelSpace) -> pd.DataFrame:
    return read_table(data, space, labelled=False)


def _read_people(data: Path, group: str) -> pd.DataFrame:
    rows, _ = _read_rows(data, (), group)
    rows = _part(rows, labelled=True)
    _raise(data, _path_faults(data.parent, rows[PATH]) + (_group_faults(rows[GROUP]) if GROUP in rows else []))
    paths = rows[PATH].tolist()
    return manifest.build(paths, paths, MASK_ONLY, person=rows[GROUP].tolist() if GROUP in rows else paths)


def _ids(data: Path) -> list[str]:
    ids: list[str] = _part(_read_rows(data, (), "none")[0], labelled=False)[PATH].tolist()
    return ids


def _list_photos(data: Path) -> Listing:
    rows = _read_rows(data, (), "none")[0]
    _raise(data, _path_faults(data.parent, rows[PATH]))
    test = rows[SPLIT] == TEST
    return Listing((data.name,), tuple(rows.loc[~test, PATH]), tuple(rows.loc[test, PATH]))


def _has_test(data: Path) -> bool:
    return data.is_file() and bool((_read_rows(data, (), "none")[0][SPLIT] == TEST).any())


LAYOUT = Layout(
    recognises=lambda data: data.is_file(),
    check=_check,
    image_root=lambda data: data.parent,
    read_labelled=_read_labelled,
    fix_rows=photo_fix_rows,
    read_unlabelled=_read_unlabelled,
    read_people=_read_people,
    unlabelled_ids=_ids,
    unlabelled_paths=lambda data: manifest.paths_and_notes(_read_unlabelled(data, MASK_ONLY)),
    list_photos=_list_photos,
    has_labelled=lambda data: False,
    has_unlabelled=_has_test,
    id_column="path",
    task_columns=True,
    prescribed=lambda data: None,
)
