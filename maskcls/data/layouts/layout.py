"""The interface of a data layout: the functions that read it, and the form of its submission."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from maskcls.data.layouts.fixes import FixRow, Relabelling
from maskcls.labels import LabelSpace


@dataclass(frozen=True)
class Listing:
    """The tables and photos of a data set, all relative to its image root; labels are not read.

    tables      files that list the photos.
    labelled    photos to train on, in the order of the manifest.
    unlabelled  other photos, in the order of their table.
    """

    tables: tuple[str, ...]
    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]


def layout_fix(action: str, others: str, *, settable: bool) -> str:
    """Return what to do about data of another layout: this action, or, where it can be set, another `data.format`."""
    return f"{action}, or set data.format={others}" if settable else f"{action}; a run reads the layout of its training"


@dataclass(frozen=True)
class Layout:
    """One arrangement of photos and labels on disk. `data` is the path a user gives: a folder or a file.

    recognises       (data): whether a data set that no configuration describes is of this layout.
    check            (data, settable): raise DataError if this existing path cannot be a data set of this layout.
                     settable: whether the command takes another data.format, which the message then advises.
    image_root       (data): the folder that a manifest's `path` is relative to.
    read_labelled    (data, space, fixes, group): the manifest of the rows to train on, sorted by id. fixes: a CSV of
                     label corrections, or None. group: the setting `data.group`. Raises DataError that lists every
                     error, ConfigError for tasks or fixes that the layout does not support.
    fix_rows         (relabelling): the rows of such a CSV that give photos these labels; none if it cannot say so.
    read_unlabelled  (data, space): the manifest of the rows to predict, in the order of their table. Raises DataError.
    read_people      (data, group): the labelled photos with `id`, `path` and `person`; nothing else is read. Raises
                     DataError.
    unlabelled_ids   (data): the ids of the rows to predict, in order, from the table alone. Raises DataError.
    unlabelled_paths (data): the paths of the rows to predict, in order, and notes for the user. Of a folder, which may
                     have millions of photos, no manifest is built. Raises DataError.
    list_photos      (data): tables and photos. Raises DataError.
    has_labelled     (data): whether a data set to predict also contains labelled rows.
    has_unlabelled   (data): whether a data set to train on also contains rows to predict; else these are a separate
                     data set.
    id_column        name of the first column of a submission; the second is `ans`.
    task_columns     whether one column per task follows, with the name of the class.
    prescribed       (data): the label space that a submission must use; None: any.
    profile_ids      (data): a number of the person that the table has beside each name of a person; {} without such.
    """

    recognises: Callable[[Path], bool]
    check: Callable[[Path, bool], None]
    image_root: Callable[[Path], Path]
    read_labelled: Callable[[Path, LabelSpace, Path | None, str], pd.DataFrame]
    fix_rows: Callable[[Relabelling], list[FixRow]]
    read_unlabelled: Callable[[Path, LabelSpace], pd.DataFrame]
    read_people: Callable[[Path, str], pd.DataFrame]
    unlabelled_ids: Callable[[Path], list[str]]
    unlabelled_paths: Callable[[Path], tuple[list[str], list[str]]]
    list_photos: Callable[[Path], Listing]
    has_labelled: Callable[[Path], bool]
    has_unlabelled: Callable[[Path], bool]
    id_column: str
    task_columns: bool
    prescribed: Callable[[Path], LabelSpace | None]
    profile_ids: Callable[[Path], Mapping[str, str]] = lambda data: {}
