"""True labels of predicted photos from a folder: the name of a class folder is the label of the photos in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maskcls.data.layouts.folder_scan import scan_class_folders
from maskcls.errors import DataError
from maskcls.labels import Ints, LabelSpace
from maskcls.spelling import meant


def read_folder_answers(folder: Path, space: LabelSpace, asked: Sequence[str]) -> tuple[list[str], dict[str, Ints]]:
    """Read the labels of the photos in class folders, one level per task.

    folder  with class folders, such as DATA/test; or DATA itself, whose part test is read.
    asked   ids of predictions. Photos of DATA/test that were predicted with DATA have ids that begin with test/.

    Returns N sorted ids and {task: (N,) int64}. Raises DataError that lists photos whose folders are no classes.
    """
    found = scan_class_folders(folder)
    part = found.test or found.parts[0]
    start = f"{part.folder}/" if part.folder else ""
    paths = sorted((*part.photos, *part.misplaced))
    names = [path.removeprefix(start).split("/")[:-1] for path in paths]
    faults = [f"{path}: {fault}" for path, own in zip(paths, names, strict=True) if (fault := _fault(own, space))]
    if faults or not paths:
        expected = "/".join(f"<{task.name}>" for task in space.tasks) + "/photo"
        what = "the folder has no answers" if not paths else "photos are not in the folder of a class"
        raise DataError(what, where=str(folder), expected=expected, offenders=faults)
    labels = {
        task.name: np.array([task.classes.index(own[i]) for own in names], dtype=np.int64)
        for i, task in enumerate(space.tasks)
    }
    name = f"{folder.resolve().name}/"
    within = not start and any(id.startswith(name) for id in asked)
    return [name + path for path in paths] if within else paths, labels


def _fault(names: Sequence[str], space: LabelSpace) -> str | None:
    """Return why these folders are not one class per task; None if they are."""
    if len(names) != len(space.tasks):
        return f"in {len(names)} class folders, expected {len(space.tasks)}"
    for name, task in zip(names, space.tasks, strict=True):
        if name not in task.classes:
            return f"{name!r} is no class of {task.name}{meant(name, task.classes)}"
    return None
