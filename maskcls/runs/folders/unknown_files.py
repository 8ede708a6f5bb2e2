"""Files that no command of maskcls writes into a folder; a folder of them is named once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def unknown_places(folder: Path, unknown: Iterable[Path], known: Iterable[Path]) -> Mapping[str, int]:
    """Return the places in `folder` of unknown files, each with its number of files.

    unknown, known  files and folders below `folder`.

    Several files are one place, that of the topmost folder which holds nothing known; a file alone is its own.

    >>> top = Path("r")
    >>> unknown_places(top, [top / "old/a", top / "old/b/c", top / "fold0/x/y", top / "z"], [top / "fold0/DONE"])
    {'old': 2, 'fold0/x/y': 1, 'z': 1}
    """
    holding = {parent for path in known for parent in (path, *path.parents)}
    found: dict[Path, list[Path]] = {}
    for path in unknown:
        above = [parent for parent in path.parents if parent.is_relative_to(folder) and parent != folder]
        top = next((parent for parent in reversed(above) if parent not in holding), path)
        found.setdefault(top, []).append(path)
    places = {top if len(paths) > 1 else paths[0]: len(paths) for top, paths in found.items()}
    return {path.relative_to(folder).as_posix(): count for path, count in places.items()}
