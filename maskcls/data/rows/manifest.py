"""The manifest: the table that every data layout is read into. One row per photo, with its person and labels.

Columns, in this order:
id      text, unique; identifies the row in every later file.
path    text, relative to the image root, or absolute; parts joined by `/`.
person  text, the group that is never divided between folds; "" when unknown (rows to predict).
<task>  Int16 class index for each task, NA = unknown; a task with bins is followed by
        <task>_value, Int16, the whole number itself (age in years), NA = unknown.
split   "train" or "eval".
source  where the labels come from: "real" for the data set's own labels.
weight  float64, >= 0 and finite; the row's weight in the loss.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from maskcls import files
from maskcls.csvfile import read_csv
from maskcls.data.layouts.paths import located_path_fault
from maskcls.errors import ConfigError, DataError
from maskcls.labels import UNKNOWN, Ints, LabelSpace, Task, constant_tasks
from maskcls.spelling import meant

SPLITS = ("train", "eval")
MAX_AGE_YEARS = 120
MAX_VALUE = 32767
_NOTES = "notes"  # in the frame's attrs
_WHOLE = re.compile(r"0|[1-9][0-9]{0,4}")
_CELLS = {
    "Int16": r"|0|[1-9][0-9]{0,3}|[12][0-9]{4}|3[01][0-9]{3}|32[0-6][0-9]{2}|327[0-5][0-9]|3276[0-7]",
    "float64": r"[0-9]+(\.[0-9]+)?(e-?[0-9]+)?",
}


def columns(space: LabelSpace) -> list[str]:
    """Return the manifest's columns in order; ConfigError when a task has the name of another column."""
    names = ["id", "path", "person"]
    for task in space.tasks:
        names += [task.name, value_column(task)] if task.bins else [task.name]
    names += ["split", "source", "weight"]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ConfigError("a task has the name of another column", got=", ".join(twice), fix="rename the task")
    return names


def value_column(task: Task) -> str:
    """Return the column name for the whole numbers of a task with bins."""
    return f"{task.name}_value"


def build(
    ids: Sequence[str],
    paths: Sequence[str],
    space: LabelSpace,
    *,
    person: Sequence[str] | None = None,
    labels: Mapping[str, Ints] | None = None,
    values: Mapping[str, Ints] | None = None,
    split: str = "train",
) -> pd.DataFrame:
    """Build and validate a manifest of N rows with source "real" and weight 1.

    person  default: "" in every row.
    labels  class indices (N,) int64 by task, -1 = unknown. A missing task is computed from its values, or is unknown.
    values  whole numbers (N,) int64 by task with bins, -1 = unknown; a missing task is unknown.

    Raises DataError as `validate`.
    """
    none = np.full(len(ids), UNKNOWN, dtype=np.int64)
    data: dict[str, object] = {"id": list(ids), "path": list(paths), "person": person or [""] * len(ids)}
    for task in space.tasks:
        value_N = (values or {}).get(task.name, none)
        data[task.name] = (labels or {}).get(task.name, task.band(value_N) if task.bins else none)
        if task.bins:
            data[value_column(task)] = value_N
    data |= {"split": split, "source": "real", "weight": 1.0}
    frame = _typed(pd.DataFrame(data), space)
    check_manifest(frame, space)
    return frame


def with_notes(frame: pd.DataFrame, notes: Sequence[str]) -> pd.DataFrame:
    """Return a manifest with what its reader has to say about how the data set was read, for `notes`."""
    noted = frame.copy(deep=False)
    noted.attrs[_NOTES] = tuple(notes)
    return noted


def notes(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return what the reader of a data set said about it, to be shown once; () for a manifest read from a run."""
    found: tuple[str, ...] = frame.attrs.get(_NOTES, ())
    return found


def paths_and_notes(frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the paths of the rows, in order, and the notes about them."""
    return frame["path"].tolist(), list(notes(frame))


def check_manifest(frame: pd.DataFrame, space: LabelSpace) -> None:
    """Raise one DataError that lists every wrong row: ids, paths, label ranges, split, source, weight."""
    if list(frame.columns) != columns(space):
        got, expected = ", ".join(map(str, frame.columns)), ", ".join(columns(space))
        raise DataError("the manifest's columns are wrong", got=got, expected=expected, fix="restore the manifest")
    ids = frame["id"]
    masks = {"the id occurs more than once": ids.duplicated(keep=False), "the id is empty": ids == ""}
    unsafe = [located_path_fault(path) is not None for path in frame["path"].tolist()]
    masks["the path is not safe"] = pd.Series(unsafe, frame.index, dtype=bool)
    for task in space.tasks:
        masks |= _label_masks(frame, task)
    masks[f"the split is not one of {', '.join(SPLITS)}"] = ~frame["split"].isin(SPLITS)
    masks["the source is empty"] = frame["source"] == ""
    weight = frame["weight"].to_numpy(dtype=np.float64)
    masks["the weight is not a finite number >= 0"] = pd.Series(~(np.isfinite(weight) & (weight >= 0)), frame.index)
    faults = [f"row {id!r}: {what}" for what, mask in masks.items() for id in ids[mask.to_numpy(dtype=bool)]]
    if faults:
        raise DataError("rows of the manifest are wrong", offenders=faults, fix="correct these rows in the data set")


def labels(frame: pd.DataFrame, space: LabelSpace) -> dict[str, Ints]:
    """Return the class indices int64 (N,) of each task, -1 for unknown."""
    return {name: frame[name].to_numpy(dtype=np.int64, na_value=UNKNOWN) for name in space.names}


def person_tasks(frame: pd.DataFrame, space: LabelSpace) -> tuple[str, ...]:
    """Return the tasks whose known label is the same on all photos of every person, see `constant_tasks`."""
    return constant_tasks(labels(frame, space), frame["person"].tolist(), space)


def values(frame: pd.DataFrame, space: LabelSpace) -> dict[str, Ints]:
    """Return the whole numbers int64 (N,) of each task with bins, -1 for unknown."""
    columns_by_name = {task.name: frame[value_column(task)] for task in space.tasks if task.bins}
    return {name: column.to_numpy(dtype=np.int64, na_value=UNKNOWN) for name, column in columns_by_name.items()}


def to_csv(frame: pd.DataFrame) -> bytes:
    """Return the table as CSV (UTF-8); equal tables give equal bytes."""
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text.encode()


def from_csv(path: Path, space: LabelSpace) -> pd.DataFrame:
    """Read what `to_csv` wrote; raises DataError when a column, a number or a row is wrong."""
    names = columns(space)
    text = read_csv(path, required=names, allow_empty=True)[names]
    kinds = _kinds(space)
    patterns = {name: _CELLS[kind] for name, kind in kinds.items() if kind in _CELLS}
    faults = [
        f"line {n}, column {name}: {cell!r}"
        for name, pattern in patterns.items()
        for n, cell in text.loc[text[name].isin(_unlike(text[name], pattern)), name].items()
    ]
    if faults:
        raise DataError(
            "cells of the manifest are not numbers in range",
            where=str(path),
            offenders=faults,
            fix="restore the manifest",
        )
    wide = {name: _numbers(text[name]) for name in patterns}
    frame = _typed(text.assign(**wide).reset_index(drop=True), space)
    check_manifest(frame, space)
    return frame


def sha256(frame: pd.DataFrame) -> str:
    """Return the hex digest of the table's CSV form."""
    return files.sha256(to_csv(frame))


def parse_label(task: Task, text: str) -> tuple[int, int]:
    """Return (class index, whole number) of one cell; the number is -1 for a task without bins.

    A cell is the exact name of a class, or a whole number if the task has bins. Raises ValueError with the expected
    value as its text.
    """
    if not task.bins:
        if text not in task.classes:
            raise ValueError("one of " + ", ".join(task.classes))
        return task.classes.index(text), UNKNOWN
    value = whole_number(text, MAX_AGE_YEARS if task.name == "age" else MAX_VALUE)
    return int(task.band(np.array([value]))[0]), value


def whole_number(text: str, limit: int) -> int:
    """Return a number 0..limit written in plain digits; otherwise (such as `29.0`) ValueError with what is expected."""
    if not _WHOLE.fullmatch(text) or int(text) > limit:
        raise ValueError(f"a whole number 0..{limit}")
    return int(text)


def parse_column(task: Task, cells: pd.Series, *, empty_ok: bool) -> tuple[Ints, Ints, list[str]]:
    """Parse a column of text into class indices (N,), whole numbers (N,), and errors with line and column.

    cells     text, indexed by line number.
    empty_ok  True: an empty cell is unknown (-1); False: it is an error.
    """
    which_N, texts = pd.factorize(cells)  # each different text is parsed once
    pairs = np.full((len(texts), 2), UNKNOWN, dtype=np.int64)
    wrong: dict[int, str] = {}
    for i, text in enumerate(texts):
        if text or not empty_ok:
            try:
                pairs[i] = parse_label(task, text)
            except ValueError as error:
                wrong[i] = f"{error}{meant(text, task.classes)}"
    bad_N = np.flatnonzero(np.isin(which_N, list(wrong)))
    faults = [
        f"line {n}, column {task.name}: {texts[i]!r}, expected {wrong[i]}"
        for n, i in zip(cells.index[bad_N], which_N[bad_N].tolist(), strict=True)
    ]
    return pairs[which_N, 0], pairs[which_N, 1], faults


def absent_classes(frame: pd.DataFrame, space: LabelSpace) -> list[str]:
    """Return `task=class` for every class without a row."""
    found = {name: set(values.tolist()) for name, values in labels(frame, space).items()}
    return [f"{t.name}={name}" for t in space.tasks for i, name in enumerate(t.classes) if i not in found[t.name]]


def _label_masks(frame: pd.DataFrame, task: Task) -> dict[str, pd.Series]:
    label_N = frame[task.name]
    masks = {f"the label {task.name} is outside its classes": ~label_N.between(0, len(task.classes) - 1).fillna(True)}
    if task.bins:
        value_N = frame[value_column(task)]
        banded = task.band(value_N.to_numpy(dtype=np.int64, na_value=UNKNOWN))
        masks[f"{value_column(task)} is negative"] = (value_N < 0).fillna(False)
        masks[f"{value_column(task)} belongs to another class than {task.name}"] = value_N.notna() & (
            label_N.to_numpy(dtype=np.int64, na_value=UNKNOWN) != banded
        )
    return masks


def _unlike(cells: pd.Series, pattern: str) -> list[str]:
    """Return the distinct texts of a column that do not match; each distinct text is checked once."""
    return [text for text in cells.unique() if not re.fullmatch(pattern, text)]


def _numbers(cells: pd.Series) -> NDArray[Any]:
    """Return a column of checked text as numbers, an empty cell as -1."""
    which_N, texts = pd.factorize(cells)
    numbers: NDArray[Any] = pd.to_numeric(pd.Series(texts, dtype="str")).fillna(UNKNOWN).to_numpy()
    return numbers[which_N]


def _kinds(space: LabelSpace) -> dict[str, str]:
    """Return the dtype of each column, in the columns' order."""
    tasks = {task.name: "Int16" for task in space.tasks}
    values = {value_column(task): "Int16" for task in space.tasks if task.bins}
    return {name: (tasks | values | {"weight": "float64"}).get(name, "str") for name in columns(space)}


def _typed(frame: pd.DataFrame, space: LabelSpace) -> pd.DataFrame:
    """Give each column its type; -1 becomes NA."""
    out = {}
    for name, kind in _kinds(space).items():
        column = frame[name].astype(kind)  # type: ignore[call-overload]
        out[name] = column.mask(column == UNKNOWN) if kind.startswith("Int") else column
    return pd.DataFrame(out)


REAL = "real"


def real_rows(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows (N,) bool have the data set's own labels."""
    return (frame["source"] == REAL).to_numpy(dtype=bool)
