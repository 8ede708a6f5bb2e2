"""The labels of any data set, of a table, of class folders or of the contest's layout, and its labelled photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from maskcls.csvfile import read_columns
from maskcls.data.layouts import source
from maskcls.data.layouts.class_folders import groups_in_paths
from maskcls.data.layouts.folder_scan import scan_class_folders
from maskcls.data.proposal.columns import counted
from maskcls.data.proposal.of_folders import labels_of_folders
from maskcls.data.proposal.of_table import labels_of_table
from maskcls.data.proposal.proposed import ProposedLabels
from maskcls.data.rows import manifest
from maskcls.errors import UsageError
from maskcls.groupnouns import PEOPLE
from maskcls.labels import CONTEST


@dataclass(frozen=True)
class LabelledPhotos:
    """The labels of a data set, and the paths of its labelled photos relative to `root`."""

    labels: ProposedLabels
    root: Path
    paths: tuple[str, ...]


def read_labels(data: Path, *, tasks: Sequence[str] = (), group: str = "auto") -> LabelledPhotos:
    """Read a data set of the layout it seems to have.

    tasks  columns that are tasks; for class folders, the names of the levels. Empty: as proposed.
    group  a value of `data.group`.

    Raises DataError and UsageError.
    """
    layout = source.guess_layout(data)
    source.check_data(data, layout)
    match layout:
        case "contest":
            return _contest(data, tasks, group)
        case "folders":
            return _folders(data, tasks, group)
        case "table":
            labels, paths = labels_of_table(data, read_columns(data), asked=tasks, group=group)
            return LabelledPhotos(labels, data.parent, paths)
        case _:
            assert_never(layout)


def _contest(data: Path, tasks: Sequence[str], group: str) -> LabelledPhotos:
    if unknown := [name for name in tasks if name not in CONTEST.names]:
        raise UsageError(
            "the contest's layout has no such task", got=", ".join(unknown), expected=", ".join(CONTEST.names)
        )
    if group != "auto":
        raise UsageError("the groups of the contest's layout are people", got=f"--group {group}", fix="leave it out")
    space = CONTEST.only(list(tasks) or CONTEST.names)
    frame = source.read_labelled(data, "contest", space)
    person, paths = frame["person"].tolist(), tuple(frame["path"].tolist())
    found = manifest.labels(frame, space)
    proposed = tuple(counted(task, found[task.name].tolist(), person, "a task of the contest") for task in space.tasks)
    labels = ProposedLabels(
        data={"format": "contest"},
        columns={},
        tasks=proposed,
        noun=PEOPLE,
        photos=len(paths),
        groups=len(set(person)),
        left_out={},
        to_predict=source.layout_named("contest").has_unlabelled(data),
    )
    return LabelledPhotos(labels, data, paths)


def _folders(data: Path, tasks: Sequence[str], group: str) -> LabelledPhotos:
    found = scan_class_folders(data)
    names = tuple(tasks) or level_names(found.levels)
    if len(names) != found.levels:
        fix = "name each level of folders once, from the outer to the inner one"
        raise UsageError(
            "one task per level of class folders", got=", ".join(names), expected=str(found.levels), fix=fix
        )
    photos = tuple(path for part in found.labelled for path in part.photos)
    groups = photos if group in ("auto", "none") else groups_in_paths(list(photos), group, where=str(data))
    return LabelledPhotos(labels_of_folders(found, names, groups, group), data, photos)


def level_names(levels: int) -> tuple[str, ...]:
    """Return names of tasks for levels of class folders.

    >>> level_names(1), level_names(2)
    (('label',), ('label1', 'label2'))
    """
    return ("label",) if levels == 1 else tuple(f"label{n}" for n in range(1, levels + 1))


def label_settings(labels: ProposedLabels) -> dict[str, Any]:
    """Return the settings that describe the labels: the section `data`, and `tasks`."""
    tasks = [one.task for one in labels.tasks]
    written = [{"name": t.name, "classes": list(t.classes)} | ({"bins": list(t.bins)} if t.bins else {}) for t in tasks]
    return {"data": dict(labels.data), "tasks": written}
