"""The labels of a data set whose photos are in folders named by class: one task per folder level."""

from __future__ import annotations

from maskcls.data.layouts.folder_scan import ClassFolders
from maskcls.data.proposal.columns import counted, notes_on_names
from maskcls.data.proposal.proposed import ProposedLabels, ProposedTask
from maskcls.labels import Task
from maskcls.schema.group_noun import PHOTOS


def labels_of_folders(found: ClassFolders, names: tuple[str, ...]) -> ProposedLabels:
    """Return the labels of class folders.

    names  of the tasks, one per folder level.
    """
    paths = [path[len(part.folder) :].strip("/") for part in found.labelled for path in part.photos]
    tasks = tuple(_task(name, level, paths, tuple(found.classes[level])) for level, name in enumerate(names))
    return ProposedLabels(
        data={"format": "folders"},
        columns={},
        tasks=tasks,
        noun=PHOTOS,
        photos=len(paths),
        groups=len(paths),
        left_out={},
        notes=tuple(note for task in tasks for note in notes_on_names(task.task.name, task.task.classes)),
    )


def _task(name: str, level: int, paths: list[str], classes: tuple[str, ...]) -> ProposedTask:
    number = {folder: i for i, folder in enumerate(classes)}
    labels = [number[path.split("/")[level]] for path in paths]
    return counted(Task(name, classes), labels, paths, f"{len(classes)} folders")
