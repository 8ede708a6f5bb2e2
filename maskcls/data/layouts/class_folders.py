"""The layout `folders`: photos in folders named by class.

    DATA/<class>/photo, or DATA/train/<class>/photo, with val (valid, validation) and test beside train.

There is one folder level per task, in the order of the tasks: DATA/train/<class of task 1>/<class of task 2>/photo.
The id is the path relative to DATA. Photos of val are labelled rows like those of train. The photos of test are rows to
predict, in class folders or not; without parts, and if a folder is given to predict, all its photos are. This module
writes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from maskcls.data.layouts.folder import photos_of_folder, refuse_file
from maskcls.data.layouts.folder_scan import ClassFolders, FolderPart, scan_class_folders
from maskcls.data.layouts.layout import Layout, Listing, layout_fix
from maskcls.data.layouts.left_out import LINKS_FIX, left_out_notes
from maskcls.data.layouts.paths import file_faults, path_fault
from maskcls.data.layouts.row_fixes import photo_fix_rows, read_row_fixes
from maskcls.data.rows import manifest
from maskcls.errors import DataError
from maskcls.labels import CONTEST, UNKNOWN, Ints, LabelSpace
from maskcls.spelling import lookalikes, meant

MASK_ONLY = CONTEST.only(["mask"])  # any label space will do where only photos and groups are read
ALONE = "every photo is its own group; name what belongs together with data.group=REGEX"


def read_class_folders(root: Path, space: LabelSpace, fixes: Path | None = None, group: str = "auto") -> pd.DataFrame:
    """Read the labelled photos into a manifest, sorted by the bytes of the id.

    fixes  a CSV of corrections, see `read_row_fixes`; they replace labels in the manifest, no file is changed.
    group  "auto" or "none": every photo is its own group; else a regular expression with one group in parentheses,
           searched in each id.

    Raises DataError that lists all folders and photos that do not fit the tasks, and classes without a photo.
    """
    found = scan_class_folders(root)
    photos = _labelled_photos(found)
    _check_fit(found, photos, space)
    names = _classes_of(found, space)
    labels = {task.name: np.array([*map(task.classes.index, names[task.name])], dtype=np.int64) for task in space.tasks}
    values = {task.name: np.full(len(photos), UNKNOWN, dtype=np.int64) for task in space.tasks if task.bins}
    if fixes is not None:
        fixed = read_row_fixes(fixes, pd.DataFrame({"path": photos} | names, dtype="str"), space)
        _correct(labels, values, fixed, photos, space)
    people = _groups(photos, group, where=str(root))
    frame = manifest.build(photos, photos, space, person=people, labels=labels, values=values)
    if absent := manifest.absent_classes(frame, space):
        fix = "add the folder and its photos, or remove the class from `tasks`"
        raise DataError("a declared class never occurs", where=str(root), offenders=absent, fix=fix)
    return manifest.with_notes(frame, [*_part_notes(found), *left_out_notes(root, found), *_group_notes(group)])


def _labelled_photos(found: ClassFolders) -> list[str]:
    return sorted(path for part in found.labelled for path in (*part.photos, *part.misplaced))


def _check_fit(found: ClassFolders, photos: list[str], space: LabelSpace) -> None:
    faults = [*_folder_faults(found, space), *_photo_faults(found.root, photos)]
    if faults:
        expected = f"folders named by class: {'/'.join(f'<{task.name}>' for task in space.tasks)}/photo"
        what, fix = "the class folders are not as expected", "move or rename the folders, or correct `tasks`"
        raise DataError(what, where=str(found.root), expected=expected, fix=fix, offenders=faults)


def _correct(
    labels: Mapping[str, Ints],
    values: Mapping[str, Ints],
    fixed: Mapping[tuple[str, str], str],
    photos: list[str],
    space: LabelSpace,
) -> None:
    """Put corrected cells into labels and values (N,); an empty cell is an unknown label."""
    row_of = {path: row for row, path in enumerate(photos)}
    for (path, name), cell in fixed.items():
        label, value = manifest.parse_label(space.task(name), cell) if cell else (UNKNOWN, UNKNOWN)
        labels[name][row_of[path]] = label
        if name in values:
            values[name][row_of[path]] = value


def _groups(photos: list[str], group: str, *, where: str) -> list[str]:
    """Return the group of each photo by `data.group`."""
    return photos if group in ("auto", "none") else groups_in_paths(photos, group, where=where)


def groups_in_paths(paths: list[str], pattern: str, *, where: str) -> list[str]:
    """Return what the group of a regular expression matches in each path.

    Raises DataError that lists the paths without it, or groups that look the same.

    >>> groups_in_paths(["train/cat/tom_1.png", "train/cat/tom_2.png"], r"([^/_]+)_[0-9]+[.]png", where="")
    ['tom', 'tom']
    """
    expression = re.compile(pattern)
    names = [match[1] if (match := expression.search(path)) else None for path in paths]
    if missing := [path for path, name in zip(paths, names, strict=True) if not name]:
        fix = "correct data.group, so that it matches a part of every path"
        raise DataError("data.group does not match these photos", where=where, got=pattern, offenders=missing, fix=fix)
    found = [name for name in names if name]
    if same := lookalikes(found, paths):
        raise DataError("groups look the same", where=where, offenders=same, fix="give every group one spelling")
    return found


def _classes_of(found: ClassFolders, space: LabelSpace) -> dict[str, list[str]]:
    """Return the folder names of all labelled photos, by task, in the order of the sorted photos."""
    folders = sorted((path, _below(part, path)) for part in found.labelled for path in part.photos)
    return {task.name: [below.split("/")[i] for _, below in folders] for i, task in enumerate(space.tasks)}


def _below(part: FolderPart, path: str) -> str:
    return path.removeprefix(f"{part.folder}/") if part.folder else path


def _folder_faults(found: ClassFolders, space: LabelSpace) -> Iterator[str]:
    for part in found.labelled:
        yield from _unknown_folders(part, space)
    yield from (f"{path}: {fault}" for path, fault in _depths(found, len(space.tasks)))
    yield from (f"{path}: beside the folders train, val and test" for path in found.strays)
    yield from (f"{path}: an empty folder" for path in found.empty if not _is_test(found, path))
    yield from (f"{path}: a link to a folder; {LINKS_FIX}" for path in found.links)
    if len(tests := [part.folder for part in found.parts if part.role == "test"]) > 1:
        yield f"{', '.join(tests)}: several folders of photos to predict"
    if not any(part.photos for part in found.labelled):
        yield "no photo in a class folder"


def _unknown_folders(part: FolderPart, space: LabelSpace) -> Iterator[str]:
    """Yield folders at the depth of a task that have the name of none of its classes, with the photos in them."""
    start = f"{part.folder}/" if part.folder else ""
    for depth, (task, counts) in enumerate(zip(space.tasks, part.classes, strict=False)):
        for name, photos in counts.items():
            if name not in task.classes and photos:
                place = start + "*/" * depth + name
                known = ", ".join(task.classes)
                yield f"{place}: {_photos(photos)}, but no class of {task.name} ({known}){meant(name, task.classes)}"


def _depths(found: ClassFolders, tasks: int) -> Iterator[tuple[str, str]]:
    """Yield labelled photos that are not in as many folders as there are tasks."""
    for part in found.labelled:
        for path in (*part.photos, *part.misplaced):
            if (levels := _below(part, path).count("/")) != tasks:
                yield path, f"in {levels} class folders, expected {tasks}"


def _photo_faults(root: Path, photos: list[str]) -> Iterator[str]:
    for path, missing in zip(photos, file_faults(root, photos), strict=True):
        if fault := path_fault(path) or missing:
            yield f"{path}: {fault}"


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"


def _is_test(found: ClassFolders, path: str) -> bool:
    return any(f"{path}/".startswith(f"{part.folder}/") for part in found.parts if part.role == "test")


def _part_notes(found: ClassFolders) -> list[str]:
    joined = [f"{part.folder}/ ({_photos(len(part.photos))})" for part in found.parts if part.role == "val"]
    text = "labelled rows like those of train: maskcls makes its own folds"
    return [f"photos of {' and '.join(joined)} are {text}"] if joined else []


def _group_notes(group: str) -> list[str]:
    return [ALONE] if group == "auto" else []


def _check(data: Path, settable: bool) -> None:
    fix = layout_fix("name the folder that contains the class folders", "table", settable=settable)
    refuse_file(data, "class folders are in a folder", fix)


def _read_unlabelled(data: Path, space: LabelSpace) -> pd.DataFrame:
    paths, notes = _unlabelled_paths(data)
    return manifest.with_notes(manifest.build(paths, paths, space, split="eval"), notes)


def _unlabelled_paths(data: Path) -> tuple[list[str], list[str]]:
    """Return the photos of the part test, without parts all photos, sorted; and notes about what was left out."""
    test, others = _test_part(data)
    paths, notes = photos_of_folder(data / test)
    if others:
        notes = [f"only the photos in {test}/ are predicted, not those in {', '.join(others)}", *notes]
    return [f"{test}/{path}" for path in paths] if test else paths, notes


def _test_part(data: Path) -> tuple[str, list[str]]:
    """Return the folder of the photos to predict, "" for the root, and the other folders and photos beside it."""
    found = scan_class_folders(data)
    if found.parts[0].role == "all":
        return "", []
    if found.test is None:
        fix = "add a folder test, or name a folder of photos"
        raise DataError("there is no folder test with photos to predict", where=str(data), fix=fix)
    return found.test.folder, [*(part.folder for part in found.parts if part != found.test), *found.strays]


def _read_people(data: Path, group: str) -> pd.DataFrame:
    photos = list(_list_photos(data).labelled)
    return manifest.build(photos, photos, MASK_ONLY, person=_groups(photos, group, where=str(data)))


def _list_photos(data: Path) -> Listing:
    found = scan_class_folders(data)
    if found.links:
        raise DataError("links to folders are not followed", where=str(data), offenders=found.links, fix=LINKS_FIX)
    photos, rest = _labelled_photos(found), found.test
    if faults := list(_photo_faults(data, photos)):
        raise DataError("photos cannot be used", where=str(data), offenders=faults, fix="rename or remove these files")
    return Listing((), tuple(photos), tuple(sorted((*rest.photos, *rest.misplaced))) if rest else ())


def _has_labelled(data: Path) -> bool:
    return data.is_dir() and any(part.role in ("train", "val") for part in scan_class_folders(data).parts)


def _has_unlabelled(data: Path) -> bool:
    return data.is_dir() and scan_class_folders(data).test is not None


def _recognises(data: Path) -> bool:
    return data.is_dir() and scan_class_folders(data).looks_like_classes


LAYOUT = Layout(
    recognises=_recognises,
    check=_check,
    image_root=lambda data: data,
    read_labelled=read_class_folders,
    fix_rows=photo_fix_rows,
    read_unlabelled=_read_unlabelled,
    read_people=_read_people,
    unlabelled_ids=lambda data: _unlabelled_paths(data)[0],
    unlabelled_paths=_unlabelled_paths,
    list_photos=_list_photos,
    has_labelled=_has_labelled,
    has_unlabelled=_has_unlabelled,
    id_column="path",
    task_columns=True,
    prescribed=lambda data: None,
)
