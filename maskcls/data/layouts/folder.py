"""A plain folder of photos as rows to predict: every photo below it, without a table and without labels."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from maskcls.data.layouts.paths import file_faults, path_fault
from maskcls.data.rows import manifest
from maskcls.errors import DataError
from maskcls.labels import LabelSpace
from maskcls.spelling import lookalikes

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def is_folder_of_photos(data: Path) -> bool:
    """Return whether a folder has neither train/ nor eval/, so that the user means its photos."""
    return data.is_dir() and not (data / "eval").exists() and not (data / "train").exists()


def read_folder(root: Path, space: LabelSpace) -> pd.DataFrame:
    """Read every photo below a folder into a manifest without labels; id and path are its relative path, sorted.

    Hidden files and folders, such as macOS's `._*`, and files with other suffixes are skipped.
    Raises DataError for a folder without photos, unsafe names, names that look the same, links that lead outside, and
    links to folders.
    """
    paths = sorted(_photos(root))
    faults = [path_fault(path) for path in paths]
    safe = [path for path, fault in zip(paths, faults, strict=True) if fault is None]
    found = iter(file_faults(root, safe))
    wrong = [f"{p}: {f}" for p, fault in zip(paths, faults, strict=True) if (f := fault or next(found))]
    wrong += lookalikes(paths, ["this folder"] * len(paths))
    if wrong:
        raise DataError("photos cannot be used", where=str(root), offenders=wrong)
    if not paths:
        expected = f"photos ({', '.join(SUFFIXES)}), or the contest's eval/info.csv"
        raise DataError("the folder contains nothing to predict", where=str(root), expected=expected)
    return manifest.build(paths, paths, space, split="eval")


def _photos(root: Path) -> list[str]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [str(Path(folder, name)) for name in folders if Path(folder, name).is_symlink()]
        if links:
            fix = "put the photos, or links to the photos, into the folder itself"
            raise DataError("links to folders are not followed", where=str(root), offenders=links, fix=fix)
        below = Path(folder).relative_to(root).as_posix()
        names = [name for name in files if not name.startswith(".") and name.lower().endswith(SUFFIXES)]
        found += [name if below == "." else f"{below}/{name}" for name in names]
    return found
