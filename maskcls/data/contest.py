"""Read the contest's folders: train/train.csv and info.csv beside folders of photos, into manifests.

One row of train.csv is a profile (a person); its folder holds one photo for each stem. A file's extension varies, so
photos are found by stem. Dot files (`._mask1.jpg`, `.DS_Store`) are skipped. Everything else that does not fit is
collected over the whole data set and reported at once. Nothing is ever written here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from maskcls.data import manifest
from maskcls.data.csvfile import read_csv
from maskcls.data.paths import inside, name_fault, same_text
from maskcls.errors import ConfigError, DataError
from maskcls.labels import LabelSpace, Task

EXTENSIONS = (".jpg", ".jpeg", ".png")
STEMS = {f"mask{i}": "wear" for i in range(1, 6)} | {"incorrect_mask": "incorrect", "normal": "normal"}
CLASSES = {"mask": ("wear", "incorrect", "normal"), "gender": ("male", "female")}


@dataclass(frozen=True)
class Profile:
    """One row of train.csv. line: where it stands; cells: its gender and age as text; mask: the label of each stem."""

    path: str
    line: int
    cells: Mapping[str, str]
    mask: Mapping[str, str]


def read_train(root: Path, space: LabelSpace, fixes: Path | None = None) -> pd.DataFrame:
    """Read root/train into a manifest: a row a photo, id `<path>/<stem>`, sorted by the bytes of the id.

    space  any of the tasks mask, gender and age, with any class order and any age bins.
    fixes  a CSV of corrections, see `apply_fixes`.

    The person is the profile (`path`), because two profiles can share one `id`. Raises DataError that lists every
    fault of table and folders, and ConfigError when the contest cannot answer one of the tasks.
    """
    check_space(space)
    table = root / "train" / "train.csv"
    cells = [task.name for task in space.tasks if task.name != "mask"]
    rows = read_csv(table, required=["path", *cells], optional=[c for c in ("gender", "age") if c not in cells])
    files, faults = _profile_files(root / "train" / "images", rows["path"])
    faults = _row_faults(rows, space) + faults
    if faults:
        raise DataError("the training set is not as expected", where=str(table.parent), offenders=faults)
    profiles = {
        row["path"]: Profile(row["path"], line, {c: row[c] for c in cells}, STEMS)
        for line, row in zip(rows.index, rows.to_dict("records"), strict=True)
    }
    if fixes is not None:
        profiles = apply_fixes(profiles, fixes)
    return _assemble(profiles, files, space)


def read_eval(root: Path, space: LabelSpace) -> pd.DataFrame:
    """Read root/eval into a manifest without labels, in the order of info.csv; the id is the ImageID.

    Raises DataError that lists every ImageID repeated, unsafe or without a photo, and every photo without a row.
    """
    check_space(space)
    table, folder = root / "eval" / "info.csv", root / "eval" / "images"
    rows = read_csv(table, required=["ImageID"], optional=["ans"])
    ids = rows["ImageID"]
    faults = [
        f"line {n}, column ImageID: {name!r} {fault}"
        for n, name, fault in zip(rows.index, ids, map(_entry_fault, ids), strict=True)
        if fault
    ]
    faults += _repeated(ids, "ImageID")
    entries = {entry.name: entry for entry in _entries(folder)}
    faults += [
        f"{name}: {_no_photo(name, entries, folder)}" for name in dict.fromkeys(ids) if _no_photo(name, entries, folder)
    ]
    known = set(ids)
    faults += [f"{name}: not named in info.csv" for name in sorted(entries) if name not in known]
    if faults:
        raise DataError("the evaluation set is not as expected", where=str(table.parent), offenders=faults)
    return manifest.build(list(ids), [f"eval/images/{name}" for name in ids], space, split="eval")


def check_space(space: LabelSpace) -> None:
    """Raise ConfigError when a task is none of the contest's, or has other classes than the contest's."""
    fix = "correct `tasks`, or use data.format=table for other questions"
    for task in space.tasks:
        if task.name not in ("mask", "gender", "age"):
            expected = "the contest's folders answer mask, gender and age only"
            raise ConfigError("an unknown task", where=f"tasks: {task.name}", expected=expected, fix=fix)
        if task.name == "age" and not task.bins:
            raise ConfigError("the age task needs bins", where="tasks: age", expected="such as [30, 60]", fix=fix)
        if task.name != "age" and (task.bins or sorted(task.classes) != sorted(CLASSES[task.name])):
            got, expected = ", ".join(task.classes), "in any order: " + ", ".join(CLASSES[task.name])
            raise ConfigError("wrong classes", where=f"tasks: {task.name}", got=got, expected=expected, fix=fix)


def apply_fixes(profiles: Mapping[str, Profile], fixes: Path) -> dict[str, Profile]:
    """Return the profiles with the corrections of a CSV laid over them.

    Its columns are path, field and value. field: gender or age, value: the right one; or swap, value: two stems with a
    space between, whose photos stand under each other's name. Raises DataError that lists every row that names nothing
    known, changes nothing it could, or contradicts another.
    """
    rows = read_csv(fixes, required=["path", "field", "value"], allow_empty=True)
    fixed, seen, faults = dict(profiles), dict[tuple[str, str], str](), list[str]()
    for line, (path, field, value) in zip(rows.index, rows[["path", "field", "value"]].to_numpy(), strict=True):
        value = " ".join(sorted(value.split(" "))) if field == "swap" else value
        fault = _fix_fault(profiles, path, field, value)
        if not fault and seen.setdefault((path, field), value) != value:
            fault = f"{path}: {field} was {seen[path, field]!r} on an earlier line, here {value!r}"
        if fault:
            faults.append(f"line {line}: {fault}")
        else:
            fixed[path] = _fixed(profiles[path], fixed[path], field, value)
    if faults:
        raise DataError("corrections cannot be applied", where=str(fixes), offenders=faults)
    return fixed


def _fix_fault(profiles: Mapping[str, Profile], path: str, field: str, value: str) -> str | None:
    if path not in profiles:
        return f"no profile {path!r} in train.csv"
    if field == "swap":
        stems = value.split(" ")
        if len(stems) != 2 or not set(stems) <= STEMS.keys():
            return f"swap: {value!r}, expected two of {', '.join(STEMS)}, separated by a space"
        return f"swap: {value!r} carry the same label" if STEMS[stems[0]] == STEMS[stems[1]] else None
    if field == "gender":
        return None if value in CLASSES["gender"] else f"gender: {value!r}, expected male or female"
    if field == "age":
        return None if _is_age(value) else f"age: {value!r}, expected a whole number 0..{manifest.MAX_AGE_YEARS}"
    return f"field {field!r}, expected gender, age or swap"


def _is_age(text: str) -> bool:
    try:
        manifest.parse_label(Task("age", ("any", "older"), (manifest.MAX_AGE_YEARS,)), text)
    except ValueError:
        return False
    return True


def _fixed(original: Profile, profile: Profile, field: str, value: str) -> Profile:
    """Apply one checked fix; a swap starts from the original labels, so that giving it twice is giving it once."""
    if field == "swap":
        a, b = value.split(" ")
        return replace(profile, mask={**original.mask, a: original.mask[b], b: original.mask[a]})
    return replace(profile, cells={**profile.cells, field: value} if field in profile.cells else profile.cells)


def _assemble(profiles: Mapping[str, Profile], files: Mapping[str, str], space: LabelSpace) -> pd.DataFrame:
    """Build the manifest of checked profiles and files {`<path>/<stem>`: file name}."""
    # Code points sort like their UTF-8 bytes, on every machine and in every locale.
    ids = sorted(files)
    owners = [id.rpartition("/")[0] for id in ids]
    cells: dict[str, list[str]] = {
        "mask": [profiles[owner].mask[id.rpartition("/")[2]] for id, owner in zip(ids, owners, strict=True)]
    }
    for task in space.tasks:
        if task.name != "mask":
            cells[task.name] = [profiles[owner].cells[task.name] for owner in owners]
    parsed = {
        t.name: manifest.parse_column(t, pd.Series(cells[t.name], dtype="str"), empty_ok=False) for t in space.tasks
    }
    paths = [f"train/images/{owner}/{files[id]}" for id, owner in zip(ids, owners, strict=True)]
    labels = {name: column[0] for name, column in parsed.items()}
    values = {name: column[1] for name, column in parsed.items() if np.any(column[1] >= 0)}
    return manifest.build(ids, paths, space, person=owners, labels=labels, values=values)


def _row_faults(rows: pd.DataFrame, space: LabelSpace) -> list[str]:
    paths = rows["path"]
    faults = [f"line {n}, column path: {path!r} {fault}" for n, path in paths.items() if (fault := _entry_fault(path))]
    faults += _repeated(paths, "path")
    for task in space.tasks:
        if task.name != "mask":
            faults += manifest.parse_column(task, rows[task.name], empty_ok=False)[2]
    return faults


def _entry_fault(name: str) -> str | None:
    return name_fault(name) or ("starts with a dot: such files are skipped" if name.startswith(".") else None)


def _repeated(cells: pd.Series, column: str) -> list[str]:
    again = cells[cells.duplicated()]
    return [f"line {n}, column {column}: {text!r} stands on an earlier line too" for n, text in again.items()]


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield a folder's entries, dot files aside; raises DataError when it cannot be read."""
    try:
        with os.scandir(folder) as found:
            yield from (entry for entry in found if not entry.name.startswith("."))
    except OSError as error:
        fix = "name the data root: the folder that holds train/ and eval/"
        raise DataError("cannot read a folder", where=str(folder), got=error.strerror, fix=fix) from None


def _profile_files(folder: Path, paths: pd.Series) -> tuple[dict[str, str], list[str]]:
    """Return {`<path>/<stem>`: file name} of every profile in the table, and what is wrong with the folders."""
    files: dict[str, str] = {}
    faults: list[str] = []
    entries = {entry.name: entry for entry in _entries(folder)}
    known = {path: line for line, path in paths.items() if not _entry_fault(path)}
    for name in sorted(known.keys() | entries.keys()):
        entry = entries.get(name)
        if entry is None:
            other = any(same_text(name, found) for found in entries) if not name.isascii() else False
            faults.append(f"line {known[name]}: no folder {name!r}" + (" (NFC and NFD differ)" if other else ""))
        elif name not in known:
            faults.append(f"{name}: a {'folder' if entry.is_dir() else 'file'} without a row in train.csv")
        elif not entry.is_dir() or (entry.is_symlink() and not inside(folder, Path(entry.path))):
            faults.append(f"{name}: {'leads outside the data folder' if entry.is_symlink() else 'not a folder'}")
        else:
            faults += _photos(Path(entry.path), folder, files)
    return files, faults


def _photos(profile: Path, images: Path, files: dict[str, str]) -> list[str]:
    """Add one profile's photos to `files`; return what is wrong with them."""
    faults = []
    for entry in sorted(_entries(profile), key=lambda e: e.name):
        stem, extension = os.path.splitext(entry.name)
        name, id = f"{profile.name}/{entry.name}", f"{profile.name}/{stem}"
        if extension.lower() not in EXTENSIONS:
            faults.append(f"{name}: an extra {'folder' if entry.is_dir() else 'file'}")
        elif stem not in STEMS:
            faults.append(f"{name}: an unknown stem, expected one of {', '.join(STEMS)}")
        elif id in files:
            faults.append(f"{name}: a second file for the stem, beside {files[id]}")
        elif fault := _file_fault(entry, images):
            faults.append(f"{name}: {fault}")
        else:
            files[id] = entry.name
    return faults + [f"{profile.name}: no photo {stem!r}" for stem in STEMS if f"{profile.name}/{stem}" not in files]


def _file_fault(entry: os.DirEntry[str], images: Path) -> str | None:
    if entry.is_symlink() and not inside(images, Path(entry.path)):
        return "leads outside the data folder"
    return None if entry.is_file() else "not a file"


def _no_photo(name: str, entries: Mapping[str, os.DirEntry[str]], folder: Path) -> str | None:
    if _entry_fault(name):
        return None  # reported with its line already
    if name in entries:
        return _file_fault(entries[name], folder)
    other = any(same_text(name, found) for found in entries) if not name.isascii() else False
    return "no such photo" + (" (its name there is composed differently: NFC and NFD)" if other else "")
