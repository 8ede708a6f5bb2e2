"""Read a data set into a manifest, by the name of its layout."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never, get_args

import pandas as pd

from maskcls.data.layouts import class_folders, contest, table
from maskcls.data.layouts.layout import Layout, Listing
from maskcls.errors import DataError
from maskcls.labels import LabelSpace
from maskcls.layoutnames import LayoutName


def layout_named(name: LayoutName) -> Layout:
    """Return the layout of this name."""
    match name:
        case "contest":
            return contest.LAYOUT
        case "folders":
            return class_folders.LAYOUT
        case "table":
            return table.LAYOUT
        case _:
            assert_never(name)


def guess_layout(data: Path) -> LayoutName:
    """Return the layout of data without a configuration: a file is a table; a folder has the contest's layout, or its
    folders are named by class.
    """
    usual: LayoutName = "contest" if data.is_dir() else "table"
    return next((name for name in get_args(LayoutName) if layout_named(name).recognises(data)), usual)


def read_labelled(
    data: Path, name: LayoutName, space: LabelSpace, fixes: Path | None = None, group: str = "auto"
) -> pd.DataFrame:
    """Read the rows to train on, sorted by id; `manifest.notes` of them is for the user.

    fixes  a CSV of label corrections.
    group  which rows belong together: see `data.group`.

    Raises DataError, and ConfigError when the layout does not support the tasks or the fixes.
    """
    return check_data(data, name).read_labelled(data, space, fixes, group)


def read_unlabelled(data: Path, name: LayoutName, space: LabelSpace) -> pd.DataFrame:
    """Read the rows to predict, in the order of their table; labels, if any, are not read. Raises DataError.

    `manifest.notes` of them is for the user.
    """
    return check_data(data, name).read_unlabelled(data, space)


def unlabelled_paths(data: Path, name: LayoutName) -> tuple[list[str], list[str]]:
    """Return the paths of the rows to predict, relative to `image_root`, in order, and notes for the user.

    For a folder, memory holds its names alone. Raises DataError.
    """
    return check_data(data, name).unlabelled_paths(data)


def read_people(data: Path, name: LayoutName, group: str = "auto") -> pd.DataFrame:
    """Read the labelled photos with `id`, `path` and `person`, and nothing else. Raises DataError."""
    return check_data(data, name).read_people(data, group)


def list_photos(data: Path, name: LayoutName) -> Listing:
    """Return the tables and photos of a data set; labels are not read. Raises DataError."""
    return check_data(data, name).list_photos(data)


def image_root(data: Path, name: LayoutName) -> Path:
    """Return the folder that a manifest's `path` is relative to."""
    return layout_named(name).image_root(data)


def check_data(data: Path, name: LayoutName, *, settable: bool = True) -> Layout:
    """Return the layout of a data set; DataError when there is none, or when it cannot have this layout.

    settable  whether the command takes another data.format; those that predict with a run do not.
    """
    layout = layout_named(name)
    if not data.exists():
        raise DataError("there is no such data", where=str(data), fix="check the path")
    layout.check(data, settable)
    return layout
