"""A plain folder of photos as rows to predict: every photo below it, without a table and without labels."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from maskcls.data.layouts.folder_scan import FolderTree
from maskcls.data.layouts.left_out import LINKS_FIX, left_out_notes
from maskcls.data.layouts.paths import file_faults, path_fault
from maskcls.data.photos.photo_files import SUFFIXES, kind_of_file
from maskcls.data.rows import manifest
from maskcls.errors import DataError
from maskcls.labels import LabelSpace
from maskcls.spelling import lookalikes


def is_folder_of_photos(data: Path) -> bool:
    """Return whether a folder has neither train/ nor eval/, so that the user means its photos."""
    return data.is_dir() and not (data / "eval").exists() and not (data / "train").exists()


def refuse_file(data: Path, what: str, fix: str) -> None:
    """Raise DataError where a layout of folders is given a file; for a photo the fix is its folder."""
    if not data.is_dir():
        kind = kind_of_file(data)
        got, fix = (f"a photo ({kind})", "name the folder that contains the photo") if kind else ("a file", fix)
        raise DataError(what, where=str(data), got=got, fix=fix)


def read_folder(root: Path, space: LabelSpace) -> pd.DataFrame:
    """Read every photo below a folder into a manifest without labels; id and path are its relative path.

    Notes, order and errors: as `photos_of_folder`.
    """
    paths, notes = photos_of_folder(root)
    return manifest.with_notes(manifest.build(paths, paths, space, split="eval"), notes)


def photos_of_folder(root: Path) -> tuple[list[str], list[str]]:
    """Return the relative path of every photo below a folder, sorted, and notes about what was left out.

    Hidden files and folders, such as macOS's `._*`, and files without the suffix of a photo are left out; a note counts
    them. A link to a file is the photo that it leads to, also outside the folder.
    Raises DataError for a folder without photos, unsafe names, names that look the same, and links to folders.
    """
    found = FolderTree(root)
    if found.links:
        raise DataError("links to folders are not followed", where=str(root), offenders=found.links, fix=LINKS_FIX)
    paths = found.photos
    faults = [path_fault(path) or missing for path, missing in zip(paths, file_faults(root, paths), strict=True)]
    wrong = [f"{path}: {fault}" for path, fault in zip(paths, faults, strict=True) if fault]
    wrong += lookalikes(paths, ["this folder"] * len(paths))
    if wrong:
        raise DataError("photos cannot be used", where=str(root), offenders=wrong, fix="rename or remove these files")
    notes = left_out_notes(root, found)
    if not paths:
        expected = f"photos ({', '.join(SUFFIXES)}), or the contest's eval/info.csv"
        raise DataError(
            "the folder contains nothing to predict",
            where=str(root),
            got="; ".join(notes) or "no photo",
            expected=expected,
        )
    return paths, notes
