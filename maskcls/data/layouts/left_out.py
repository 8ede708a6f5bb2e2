"""What the readers of folders say about files that they do not use, so that nothing is left out unseen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from maskcls.data.photos.photo_files import kind_of_file

SHOWN = 3
LINKS_FIX = "put the photos, or links to the single photos, into a folder of that name"


class Searched(Protocol):
    """Names that were found in a folder, relative to it."""

    @property
    def no_photos(self) -> Sequence[str]: ...

    @property
    def hidden(self) -> Sequence[str]: ...

    @property
    def linked(self) -> Sequence[str]: ...


def left_out_notes(root: Path, found: Searched) -> list[str]:
    """Return the notes about files that are not used, and about links, each with its count; [] without any.

    The first bytes of files without the suffix of a photo are read: a photo among them is named with its format.
    """
    kinds = {name: kind for name in found.no_photos if (kind := kind_of_file(root / name))}
    others = [name for name in found.no_photos if name not in kinds]
    strange = [f"{name}: {kind}" for name, kind in kinds.items()]
    parts = [
        _counted(strange, "photo with another suffix, or none", "photos with another suffix, or none"),
        _counted(others, "file that is no photo", "files that are no photos"),
        _counted(found.hidden, "hidden file or folder", "hidden files and folders"),
    ]
    fix = "; give them a suffix such as .jpg, or convert them to JPEG" if kinds else ""
    notes = [f"left out: {'; '.join(filter(None, parts))}{fix}"] if any(parts) else []
    return notes + ([_counted(found.linked, "photo is a link", "photos are links")] if found.linked else [])


def _counted(names: Sequence[str], one: str, many: str) -> str:
    """Return a count with the first names; "" without any."""
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"{len(names):,} {one if len(names) == 1 else many} ({shown})" if names else ""
