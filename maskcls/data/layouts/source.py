"""From what the user names as data to a manifest, for each of the two formats."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from maskcls.data.layouts import contest, table
from maskcls.data.layouts.folder import is_folder_of_photos, read_folder
from maskcls.errors import ConfigError, DataError
from maskcls.labels import LabelSpace


def read_labelled(data: Path, fmt: str, space: LabelSpace, fixes: Path | None = None) -> pd.DataFrame:
    """Read the rows to train on. data: the root of a contest data set, or a CSV table; fmt: "contest" or "table".

    Raises DataError, and ConfigError when the format cannot serve the tasks or the fixes.
    """
    _check_kind(data, fmt)
    if fmt == "contest":
        return contest.read_train(data, space, fixes)
    if fixes is not None:
        fix = "correct the table itself, or set data.fixes=null"
        raise ConfigError("corrections exist for the contest's format only", where="data.fixes", fix=fix)
    return table.read_table(data, space, labelled=True)


def read_unlabelled(data: Path, fmt: str, space: LabelSpace) -> pd.DataFrame:
    """Read the rows to predict, in the order of their table; labels, if any, are not looked at. Raises DataError.

    A folder without the contest's parts is taken for what it holds: every photo below it.
    """
    _check_kind(data, fmt)
    if fmt == "contest" and is_folder_of_photos(data):
        return read_folder(data, space)
    return contest.read_eval(data, space) if fmt == "contest" else table.read_table(data, space, labelled=False)


def image_root(data: Path, fmt: str) -> Path:
    """Return the folder that a manifest's `path` is relative to."""
    return data if fmt == "contest" else data.parent


def _check_kind(data: Path, fmt: str) -> None:
    if fmt not in ("contest", "table"):
        raise ValueError(f"fmt must be 'contest' or 'table', got {fmt!r}")
    if not data.exists():
        raise DataError("there is no such data", where=str(data), fix="check the path")
    if fmt == "contest" and not data.is_dir():
        fix = "name the folder that holds train/ and eval/, or set data.format=table"
        raise DataError("the contest's format needs a folder", where=str(data), got="a file", fix=fix)
    if fmt == "table" and data.is_dir():
        fix = "name the CSV file, or set data.format=contest"
        raise DataError("a table is a CSV file", where=str(data), got="a folder", fix=fix)
