"""The contest's layout: train/train.csv and eval/info.csv, each beside a folder of photos.

One row of train.csv is a profile (a person); its folder has one photo per stem (file name without extension).
Extensions vary, so photos are found by stem. Files that start with a dot (`._mask1.jpg`, `.DS_Store`) are skipped. All
errors of a data set are collected and reported together. A folder without train/ and eval/ is read as a folder of
photos to predict (`folder`). This module writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from maskcls.csvfile import read_csv
from maskcls.data.layouts.contest_parts import has_contest_parts
from maskcls.data.layouts.fixes import COLUMNS, FixRow, Relabelling
from maskcls.data.layouts.folder import is_folder_of_photos, photos_of_folder, read_folder, refuse_file
from maskcls.data.layouts.folder_scan import scan_class_folders
from maskcls.data.layouts.layout import Layout, Listing, layout_fix
from maskcls.data.layouts.paths import file_faults, name_fault, same_text
from maskcls.data.rows import manifest
from maskcls.errors import ConfigError, DataError
from maskcls.labels import CONTEST, LabelSpace
from maskcls.spelling import lookalikes

SHOWN = 20  # names of folders in a message
EXTENSIONS = (".jpg", ".jpeg", ".png")
STEMS = {f"mask{i}": "wear" for i in range(1, 6)} | {"incorrect_mask": "incorrect", "normal": "normal"}
CLASSES = {"mask": ("wear", "incorrect", "normal"), "gender": ("male", "female")}
MASK_ONLY = CONTEST.only(["mask"])  # the mask label comes from the file name, so no label column is needed


def read_train(root: Path, space: LabelSpace, fixes: Path | None = None) -> pd.DataFrame:
    """Read root/train into a manifest: one row per photo, id `<path>/<stem>`, sorted by the bytes of the id.

    space  any of the tasks mask, gender and age, with any class order and any age bins.
    fixes  a CSV of corrections, see `read_fixes`; they replace labels in the manifest, no file is changed.

    The person is the profile (`path`), because two profiles can have the same `id`. Raises DataError that lists all
    errors of table and folders, and ConfigError when the contest has no labels for one of the tasks.
    """
    check_space(space)
    table = root / "train" / "train.csv"
    cells = [task.name for task in space.tasks if task.name != "mask"]
    rows = read_csv(table, required=["path", *cells], optional=[c for c in ("gender", "age") if c not in cells])
    files, faults = _profile_files(root, rows["path"])
    faults = _row_faults(rows, space) + faults
    if faults:
        raise DataError(
            "the training set is not as expected",
            where=str(table.parent),
            offenders=faults,
            fix="correct these rows and folders; data/README.md describes the layout",
        )
    rows = rows.set_index("path")
    return _assemble(rows, files, space, read_fixes(fixes, rows.index) if fixes is not None else {})


def read_eval(root: Path, space: LabelSpace) -> pd.DataFrame:
    """Read root/eval into a manifest without labels, in the order of info.csv; the id is the ImageID.

    Raises DataError that lists every ImageID that is repeated, unsafe or has no photo, and every photo without a row.
    """
    check_space(space)
    table = root / "eval" / "info.csv"
    rows = read_csv(table, required=["ImageID"], optional=["ans"])
    ids = rows["ImageID"]
    faults = _name_faults(ids, "ImageID")
    safe = [name for name in dict.fromkeys(ids) if not _entry_fault(name)]
    found = file_faults(root, [f"eval/images/{name}" for name in safe])
    faults += [f"{name}: {fault}" for name, fault in zip(safe, found, strict=True) if fault]
    there = {entry.name for entry in _entries(root / "eval" / "images")}
    faults += [f"{name}: not named in info.csv" for name in sorted(there - set(ids))]
    if faults:
        raise DataError(
            "the evaluation set is not as expected",
            where=str(table.parent),
            offenders=faults,
            fix="correct these rows and files; data/README.md describes the layout",
        )
    return manifest.build(list(ids), [f"eval/images/{name}" for name in ids], space, split="eval")


def check_space(space: LabelSpace) -> None:
    """Raise ConfigError when a task is not one of the contest's, or has other classes."""
    fix = "correct `tasks`, or use data.format=table for other tasks"
    for task in space.tasks:
        if task.name not in ("mask", "gender", "age"):
            expected = "mask, gender or age: the contest's folders have no other labels"
            raise ConfigError("unknown task", where=f"tasks: {task.name}", expected=expected, fix=fix)
        if task.name == "age" and not task.bins:
            raise ConfigError("the age task needs bins", where="tasks: age", expected="such as [30, 60]", fix=fix)
        if task.name != "age" and (task.bins or sorted(task.classes) != sorted(CLASSES[task.name])):
            got, expected = ", ".join(task.classes), "in any order: " + ", ".join(CLASSES[task.name])
            raise ConfigError("wrong classes", where=f"tasks: {task.name}", got=got, expected=expected, fix=fix)


def read_fixes(fixes: Path, paths: Collection[str]) -> dict[tuple[str, str], str]:
    """Read label corrections into {(path, field): value}.

    The CSV has the columns path, field and value. With field gender or age, value is the correct label. With field
    swap, value is two stems separated by a space, whose photos have each other's name. A correction for a task that is
    not used is checked too. Raises DataError that lists every row with an unknown name or a contradiction.
    """
    rows = read_csv(fixes, required=COLUMNS, allow_empty=True)
    fixed: dict[tuple[str, str], str] = {}
    faults = []
    for line, path, field, value in zip(rows.index, rows["path"], rows["field"], rows["value"], strict=True):
        value = " ".join(sorted(value.split(" "))) if field == "swap" else value
        fault = f"no profile {path!r} in train.csv" if path not in paths else _fix_fault(field, value)
        if not fault and fixed.setdefault((path, field), value) != value:
            fault = f"{path}: {field} is {fixed[path, field]!r} on an earlier line, here {value!r}"
        faults += [f"line {line}: {fault}"] if fault else []
    if faults:
        raise DataError(
            "corrections cannot be applied", where=str(fixes), offenders=faults, fix="correct these lines of the file"
        )
    return fixed


def _fix_rows(relabelling: Relabelling) -> list[FixRow]:
    """Return the correction of a person, or of two photos that are exchanged; one mask label alone has no row."""
    if relabelling.task != "mask":
        return [(relabelling.person, relabelling.task, relabelling.values[0])]
    stems = sorted(id.rpartition("/")[2] for id in relabelling.ids)
    return [(relabelling.person, "swap", " ".join(stems))] if relabelling.exchange else []


def _fix_fault(field: str, value: str) -> str | None:
    if field == "swap":
        stems = value.split(" ")
        if len(stems) != 2 or not set(stems) <= STEMS.keys():
            return f"swap: {value!r}, expected two of {', '.join(STEMS)}, separated by a space"
        return f"swap: {value!r} have the same label" if STEMS[stems[0]] == STEMS[stems[1]] else None
    if field == "gender":
        return None if value in CLASSES["gender"] else f"gender: {value!r}, expected male or female"
    if field == "age":
        try:
            manifest.whole_number(value, manifest.MAX_AGE_YEARS)
        except ValueError as expected:
            return f"age: {value!r}, expected {expected}"
        return None
    return f"field {field!r}, expected gender, age or swap"


def _assemble(
    rows: pd.DataFrame, files: Mapping[str, str], space: LabelSpace, fixes: Mapping[tuple[str, str], str]
) -> pd.DataFrame:
    """Build the manifest of checked rows, indexed by path, and files {`<path>/<stem>`: path below root}."""
    # Sorting by code points equals sorting by UTF-8 bytes; it does not depend on machine or locale.
    ids = sorted(files)
    owners = [id.rpartition("/")[0] for id in ids]
    stems = [id.rpartition("/")[2] for id in ids]
    swaps = {path: value for (path, field), value in fixes.items() if field == "swap"}
    cells = {"mask": [_mask(stem, swaps.get(path)) for path, stem in zip(owners, stems, strict=True)]}
    for name in {"gender", "age"} & set(space.names):
        own = rows[name].to_dict() | {path: value for (path, field), value in fixes.items() if field == name}
        cells[name] = [own[path] for path in owners]
    parsed = {
        t.name: manifest.parse_column(t, pd.Series(cells[t.name], dtype="str"), empty_ok=False) for t in space.tasks
    }
    labels = {name: column[0] for name, column in parsed.items()}
    values = {name: column[1] for name, column in parsed.items()}
    return manifest.build(ids, [files[id] for id in ids], space, person=owners, labels=labels, values=values)


def _mask(stem: str, swap: str | None) -> str:
    """Return the mask class of a photo by its stem; `swap`: two stems to exchange first."""
    if swap:
        a, b = swap.split(" ")
        stem = {a: b, b: a}.get(stem, stem)
    return STEMS[stem]


def _row_faults(rows: pd.DataFrame, space: LabelSpace) -> list[str]:
    faults = _name_faults(rows["path"], "path")
    for task in space.tasks:
        if task.name != "mask":
            faults += manifest.parse_column(task, rows[task.name], empty_ok=False)[2]
    return faults


def _name_faults(cells: pd.Series, column: str) -> list[str]:
    """Return the errors of cells that are not a valid file or folder name, repeat an earlier one, or look like it."""
    again = "is on an earlier line too"
    names, repeated = cells.tolist(), cells.duplicated().tolist()  # lists: iterating over a pandas column is slow
    faults = [_entry_fault(name) or (again if twice else None) for name, twice in zip(names, repeated, strict=True)]
    rows = zip(cells.index, names, faults, strict=True)
    wrong = [f"line {n}, column {column}: {cell!r} {fault}" for n, cell, fault in rows if fault]
    return wrong + [f"column {column}: {fault}" for fault in lookalikes(names, [f"line {n}" for n in cells.index])]


def _entry_fault(name: str) -> str | None:
    return name_fault(name) or ("starts with a dot; such files are skipped" if name.startswith(".") else None)


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, sorted by name, without dot files; raises DataError when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        fix = "the data root is the folder that contains train/ and eval/"
        raise DataError("cannot read a folder", where=os.fspath(folder), got=error.strerror, fix=fix) from None


def _profile_files(root: Path, paths: pd.Series) -> tuple[dict[str, str], list[str]]:
    """Return {`<path>/<stem>`: path below root} for every profile in the table, and the errors of the folders."""
    images = root / "train" / "images"
    files: dict[str, str] = {}
    faults: list[str] = []
    doubtful: list[str] = []
    found = {entry.name: entry for entry in _entries(images)}
    known = {path: line for line, path in paths.items() if not _entry_fault(path)}
    for name in sorted({*known, *found}):
        if name not in known:
            faults.append(f"{name}: without a row in train.csv")
        elif name in found:
            faults += _photos(found[name], files, doubtful)
        else:
            faults.append(f"line {known[name]}: no folder {name!r}{_other_form(name, found)}")
    # Regular files in folders without symbolic links are below the root; this needs no further system call.
    if os.path.realpath(images) != os.path.join(os.path.realpath(root), "train", "images"):
        doubtful = list(files.values())
    unusable = file_faults(root, doubtful)
    return files, faults + [f"{path}: {fault}" for path, fault in zip(doubtful, unusable, strict=True) if fault]


def _photos(folder: os.DirEntry[str], files: dict[str, str], doubtful: list[str]) -> list[str]:
    """Add one profile's photos to `files`, by stem, and to `doubtful` those behind symbolic links or not regular files.

    Returns the errors of their names.
    """
    profile = folder.name
    if not folder.is_dir():
        return [f"{profile}: not a folder"]
    faults = []
    own: dict[str, str] = {}
    linked = folder.is_symlink()
    for entry in _entries(folder):
        stem, dot, extension = entry.name.rpartition(".")
        if not dot or dot + extension.lower() not in EXTENSIONS:
            faults.append(f"{profile}/{entry.name}: an extra file, expected {', '.join(EXTENSIONS)}")
        elif stem not in STEMS:
            faults.append(f"{profile}/{entry.name}: an unknown stem, expected one of {', '.join(STEMS)}")
        elif stem in own:
            faults.append(f"{profile}/{entry.name}: a second file for its stem, beside {own[stem]}")
        else:
            own[stem] = entry.name
            files[f"{profile}/{stem}"] = path = f"train/images/{profile}/{entry.name}"
            if linked or not entry.is_file(follow_symlinks=False):
                doubtful.append(path)
    if len(own) < len(STEMS):
        faults += [f"{profile}: no photo {stem!r}" for stem in STEMS if stem not in own]
    return faults


def _other_form(name: str, found: Iterable[str]) -> str:
    other = not name.isascii() and any(same_text(name, entry) for entry in found)
    return " (its name there is composed differently: NFC and NFD)" if other else ""


def _check(data: Path, settable: bool) -> None:
    fix = layout_fix("name the folder that contains train/ and eval/", "table", settable=settable)
    refuse_file(data, "the contest's format needs a folder", fix)


def _read_unlabelled(data: Path, space: LabelSpace) -> pd.DataFrame:
    return read_folder(data, space) if is_folder_of_photos(data) else read_eval(data, space)


def _unlabelled_ids(data: Path) -> list[str]:
    if is_folder_of_photos(data):
        return photos_of_folder(data)[0]
    ids: list[str] = read_csv(data / "eval" / "info.csv", required=["ImageID"])["ImageID"].tolist()
    return ids


def _unlabelled_paths(data: Path) -> tuple[list[str], list[str]]:
    if is_folder_of_photos(data):
        return photos_of_folder(data)
    return manifest.paths_and_notes(read_eval(data, MASK_ONLY))


def _read_labelled(root: Path, space: LabelSpace, fixes: Path | None, group: str) -> pd.DataFrame:
    """Read root/train; a group is a person, so `group` is always auto. DataError for folders named by class."""
    if not has_contest_parts(root) and (found := scan_class_folders(root)).looks_like_classes:
        levels = [", ".join(list(counts)[:SHOWN]) + ", …" * (len(counts) > SHOWN) for counts in found.classes]
        fix = "set data.format=folders, and `tasks` with the names of the folders as classes"
        got = f"photos in folders named {' / '.join(levels)}"
        raise DataError("this is not the contest's layout", where=str(root), got=got, fix=fix)
    return read_train(root, space, fixes)


def _read_people(data: Path, group: str) -> pd.DataFrame:
    if data.is_dir() and not (data / "train").exists():
        fix = "name the data set that contains train/, and the photos to group with --unlabelled"
        raise DataError("there are no train people", where=str(data), fix=fix)
    return read_train(data, MASK_ONLY)


def _list_photos(data: Path) -> Listing:
    has_eval = (data / "eval").exists()
    has_train = (data / "train").exists() or not has_eval  # with neither, the reader reports what is missing
    train = read_train(data, MASK_ONLY)["path"].tolist() if has_train else []
    rest = read_eval(data, MASK_ONLY)["path"].tolist() if has_eval else []
    return Listing(("train/train.csv",) * has_train + ("eval/info.csv",) * has_eval, tuple(train), tuple(rest))


def _profile_ids(data: Path) -> dict[str, str]:
    """Return the id of each profile; two profiles with one id may be one person."""
    rows = read_csv(data / "train" / "train.csv", required=["path"], optional=["id"])
    return dict(zip(rows["path"], rows["id"], strict=True)) if "id" in rows else {}


LAYOUT = Layout(
    recognises=has_contest_parts,
    check=_check,
    image_root=lambda data: data,
    read_labelled=_read_labelled,
    fix_rows=_fix_rows,
    read_unlabelled=_read_unlabelled,
    read_people=_read_people,
    unlabelled_ids=_unlabelled_ids,
    unlabelled_paths=_unlabelled_paths,
    list_photos=_list_photos,
    has_labelled=lambda data: (data / "train" / "train.csv").is_file(),
    has_unlabelled=lambda data: (data / "eval").exists(),
    id_column="ImageID",
    task_columns=False,
    prescribed=lambda data: None if is_folder_of_photos(data) else CONTEST,
    profile_ids=_profile_ids,
)
