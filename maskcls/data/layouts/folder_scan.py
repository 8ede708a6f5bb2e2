"""Photos in folders named by class, read as they are on disk: parts, levels, classes, photos, and what is odd.

    ROOT/<class>/photo, or ROOT/train/<class>/photo, with val and test beside train; one folder level per task.

Nothing is checked here: a configuration is not needed, and nothing is raised for odd files. `class_folders` compares
the result with the tasks of a configuration.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from maskcls.data.photos.photo_files import has_photo_suffix
from maskcls.errors import DataError

Role = Literal["train", "val", "test", "all"]
ROLES: Mapping[str, Role] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
ORDER = ("train", "val", "test", "all")


@dataclass(frozen=True)
class FolderPart:
    """One part of a data set. Paths are relative to the root, with `/`, and sorted by their bytes.

    role       what it is for; "all": there are no parts, and the root itself holds the class folders.
    folder     its folder as spelled on disk, such as "valid"; "" for the root.
    levels     folders between it and most of its photos; 0: a flat folder.
    classes    for each level {name of a folder: photos below it}, in natural order (2 before 10); folders without
               photos are in it with 0. Photos at another depth are not counted.
    photos     the photos at depth `levels`.
    misplaced  photos at any other depth.
    """

    role: Role
    folder: str
    levels: int
    classes: tuple[Mapping[str, int], ...]
    photos: tuple[str, ...]
    misplaced: tuple[str, ...]


@dataclass(frozen=True)
class ClassFolders:
    """What is in a folder. Paths are relative to `root`, with `/`, and sorted by their bytes.

    parts       in the order train, val, test; or the only part "all". Two folders of one role are two parts.
    strays      folders and photos beside the parts, which belong to none.
    empty       folders without any photo below them.
    links       links to folders; they are not followed.
    linked      photos that are links to files.
    no_photos   files without the name of a photo.
    hidden      files and folders whose name starts with a dot; folders are not entered.
    """

    root: Path
    parts: tuple[FolderPart, ...]
    strays: tuple[str, ...]
    empty: tuple[str, ...]
    links: tuple[str, ...]
    linked: tuple[str, ...]
    no_photos: tuple[str, ...]
    hidden: tuple[str, ...]

    @property
    def labelled(self) -> tuple[FolderPart, ...]:
        """The parts with labels: all but test."""
        return tuple(part for part in self.parts if part.role != "test")

    @property
    def test(self) -> FolderPart | None:
        """The part to predict; None without one."""
        return next((part for part in self.parts if part.role == "test"), None)

    @property
    def levels(self) -> int:
        """Levels of class folders in the labelled parts: the number of tasks that they have labels for."""
        return max((part.levels for part in self.labelled), default=0)

    @property
    def classes(self) -> tuple[Mapping[str, int], ...]:
        """For each level {class: photos} of the labelled parts together, in natural order."""
        counts: list[Counter[str]] = [Counter() for _ in range(self.levels)]
        for part in self.labelled:
            for count, found in zip(counts, part.classes, strict=False):
                count.update(found)
        return tuple(_in_order(count) for count in counts)

    @property
    def looks_like_classes(self) -> bool:
        """Whether there are photos in class folders."""
        return self.levels > 0


def scan_class_folders(root: Path) -> ClassFolders:
    """Scan a folder. Reads names only, no photo and no table; raises DataError for a folder that cannot be read.

    Folders named train, val (valid, validation) and test, in any case, are parts if there is a train folder, or if
    there are no other folders. Else every folder is a class. Links to files are photos like others.
    """
    tree = FolderTree(root)
    roles = {name: role for name in tree.top if (role := ROLES.get(name.casefold())) is not None}
    if not ("train" in roles.values() or (roles and len(roles) == len(tree.top))):
        return tree.result((_part("all", "", tree.photos, tree.folders),), ())
    parts = [_part(role, name, tree.photos, tree.folders) for name, role in roles.items()]
    within = tuple(f"{name}/" for name in roles)
    strays = [name for name in tree.top if name not in roles] + [p for p in tree.photos if not p.startswith(within)]
    return tree.result(
        tuple(sorted(parts, key=lambda part: (ORDER.index(part.role), part.folder))),
        tuple(sorted(path for path in strays if "/" not in path)),
    )


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key that compares digits as numbers.

    >>> sorted(["10", "b2", "9", "b10"], key=natural_key)
    ['9', '10', 'b2', 'b10']
    """
    parts = re.split(r"([0-9]+)", name)  # text and digits take turns, so equal places have equal types
    return tuple(int(part) if i % 2 else part for i, part in enumerate(parts)), name


class FolderTree:
    """All names below a folder, relative to it; `photos` and `folders` are sorted by their bytes.

    linked  the photos that are links to files. links: links to folders, which are not followed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: list[str] = []
        self.photos: list[str] = []
        self.linked: list[str] = []
        self.links: list[str] = []
        self.no_photos: list[str] = []
        self.hidden: list[str] = []
        todo = [""]
        while todo:
            todo += self._enter(todo.pop())
        for names in (self.folders, self.photos, self.linked, self.links, self.no_photos, self.hidden):
            names.sort()

    @property
    def top(self) -> list[str]:
        """The folders directly below the root."""
        return [folder for folder in self.folders if "/" not in folder]

    def _enter(self, folder: str) -> list[str]:
        """Sort the entries of a folder into lists; return the folders among them."""
        below, start = [], f"{folder}/" if folder else ""
        for entry in _entries_of(self.root / folder):
            path = start + entry.name
            if entry.name.startswith("."):
                self.hidden.append(path)
            elif entry.is_dir(follow_symlinks=False):
                below.append(path)
            elif entry.is_dir():
                self.links.append(path)
            elif has_photo_suffix(entry.name):
                self.photos.append(path)
                self.linked += [path] if entry.is_symlink() else []
            else:
                self.no_photos.append(path)
        self.folders += below
        return below

    def result(self, parts: tuple[FolderPart, ...], strays: tuple[str, ...]) -> ClassFolders:
        full = {path[:end] for path in self.photos for end in _slashes(path)}
        return ClassFolders(
            self.root,
            parts,
            strays,
            tuple(folder for folder in self.folders if folder not in full),
            tuple(self.links),
            tuple(self.linked),
            tuple(self.no_photos),
            tuple(self.hidden),
        )


def _entries_of(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(
            "cannot read a folder", where=os.fspath(folder), got=error.strerror, fix="make the folder readable"
        ) from None


def _part(role: Role, folder: str, photos: Iterable[str], folders: Iterable[str]) -> FolderPart:
    start = f"{folder}/" if folder else ""
    own = [path[len(start) :] for path in photos if path.startswith(start)]
    depths = Counter(path.count("/") for path in own)
    levels = max(depths, key=lambda depth: (depths[depth], depth), default=0)
    fitting = [path for path in own if path.count("/") == levels]
    counts: list[Counter[str]] = [Counter() for _ in range(levels)]
    for below in folders:
        if below.startswith(start) and (depth := below.count("/", len(start))) < levels:
            counts[depth][below.rpartition("/")[2]] += 0
    for path in fitting:
        for count, name in zip(counts, path.split("/"), strict=False):
            count[name] += 1
    return FolderPart(
        role,
        folder,
        levels,
        tuple(_in_order(count) for count in counts),
        tuple(start + path for path in fitting),
        tuple(start + path for path in own if path.count("/") != levels),
    )


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts, key=natural_key)}


def _slashes(path: str) -> list[int]:
    return [found.start() for found in re.finditer("/", path)]
