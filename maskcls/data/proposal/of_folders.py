"""The labels of a data set whose photos are in folders named by class: one task per folder level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from maskcls.data.layouts.folder_scan import ClassFolders
from maskcls.data.proposal.columns import counted, notes_on_names
from maskcls.data.proposal.proposed import ProposedLabels, ProposedTask
from maskcls.labels import Task
from maskcls.schema import Config, DataConfig
from maskcls.schema.group_noun import group_noun

ALONE = "every photo is a group of its own; or a regular expression that finds the group in a path"
FOUND = "finds the group in a path; photos of one group are never in different folds"


def labels_of_folders(found: ClassFolders, names: Sequence[str], groups: Sequence[str], group: str) -> ProposedLabels:
    """Return the labels of class folders.

    names   of the tasks, one per folder level.
    groups  the group of each labelled photo, in the order of the parts; group: the value of `data.group`.
    """
    paths = [path.removeprefix(f"{part.folder}/") for part in found.labelled for path in part.photos]
    tasks = tuple(_task(name, level, paths, tuple(found.classes[level]), groups) for level, name in enumerate(names))
    setting = "none" if group == "auto" else group
    return ProposedLabels(
        data={"format": "folders", "group": setting},
        columns={setting: ALONE if setting == "none" else FOUND},
        tasks=tasks,
        noun=group_noun(Config(data=DataConfig(format="folders", group=setting))),
        photos=len(paths),
        groups=len(set(groups)),
        left_out={},
        notes=tuple(_notes(found, tasks)),
        to_predict=found.test is not None,
    )


def _task(name: str, level: int, paths: Sequence[str], classes: tuple[str, ...], groups: Sequence[str]) -> ProposedTask:
    number = {folder: i for i, folder in enumerate(classes)}
    labels = [number[path.split("/")[level]] for path in paths]
    return counted(Task(name, classes), labels, groups, f"{len(classes)} folders")


def _notes(found: ClassFolders, tasks: Sequence[ProposedTask]) -> Iterator[str]:
    for one in tasks:
        yield from notes_on_names(one.task.name, one.task.classes)
    if found.test is not None:
        yield f"the {len(found.test.photos):,} photos of {found.test.folder} are not trained on: they are for predict"
