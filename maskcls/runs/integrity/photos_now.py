"""Which photos of a run are no longer those that it began with, or cannot be read any more.

Commands that compute with these photos refuse them, see `training.known_photos`; commands that only show them say so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from maskcls.data.photos.identity.photo_digests import PhotoDigests, digest, read_photo_digests
from maskcls.data.photos.images import decode, image_faults, read_bytes
from maskcls.errors import MaskclsError
from maskcls.machine import reading_threads
from maskcls.rundir import RunDir

SHOWN = 3  # names in a sentence


def run_photos(run: RunDir) -> PhotoDigests | None:
    """Return size and digest of every photo of a run; None for a run of an earlier version, which has none."""
    return read_photo_digests(run.photos) if run.photos.exists() else None


def other_contents(run: RunDir, root: Path, path_of: Mapping[str, str]) -> tuple[str, ...]:
    """Read photos, and return the ids of those whose content is not what the run began with.

    path_of  {id: path relative to root}. Ids that the run does not know, and files that cannot be read, are left out.
    """

    def differs(path: Path, known: PhotoDigests) -> bool:
        return digest(read_bytes(path)) != bytes(known.digest_ND[0])

    return _differing(run, root, path_of, differs)


def other_sizes(run: RunDir, root: Path, path_of: Mapping[str, str]) -> tuple[str, ...]:
    """Return the ids of the photos whose files have another size now; nothing is read. See `other_contents`."""

    def differs(path: Path, known: PhotoDigests) -> bool:
        return os.stat(path).st_size != int(known.size_N[0])

    return _differing(run, root, path_of, differs)


def unreadable_photos(root: Path, path_of: Mapping[str, str], *, px: int) -> dict[str, str]:
    """Decode photos, at `px` pixels per side where that is quicker; return why those that cannot be read cannot, by id.

    path_of  {id: path relative to root}.
    """
    names, paths = list(path_of), list(path_of.values())

    def read(row: int, data: bytes) -> None:
        decode(data, root / paths[row], at_least=(px, px))

    faults = image_faults(root, paths, read, threads=reading_threads(None))
    return {names[row]: fault for row, fault in faults.items()}


def _differing(
    run: RunDir, root: Path, path_of: Mapping[str, str], differs: Callable[[Path, PhotoDigests], bool]
) -> tuple[str, ...]:
    if (known := run_photos(run)) is None:
        return ()
    ids = [name for name in path_of if name in known]

    def compare(name: str) -> bool:
        try:
            return differs(root / path_of[name], known.of([name]))
        except (MaskclsError, OSError, ValueError):  # said where the photo is shown or needed
            return False

    with ThreadPoolExecutor(reading_threads(None)) as pool:
        return tuple(name for name, other in zip(ids, pool.map(compare, ids), strict=True) if other)


def changed_in_words(names: tuple[str, ...]) -> str:
    """Say in one line that photos changed; names: at least one.

    >>> changed_in_words(("a.jpg",))
    '1 photo changed since the training: a.jpg'
    >>> changed_in_words(("a", "b", "c", "d", "e"))
    '5 photos changed since the training: a, b, c and 2 more'
    """
    return _in_words(names, "changed since the training")


def unreadable_in_words(reasons: Mapping[str, str]) -> str:
    """Say in one line which photos cannot be read, and why; reasons: by id, at least one.

    >>> unreadable_in_words({"a.jpg": "empty file (0 bytes)"})
    '1 photo cannot be read: a.jpg (empty file (0 bytes))'
    """
    return _in_words([f"{name} ({reason})" for name, reason in reasons.items()], "cannot be read")


def _in_words(names: Sequence[str], what: str) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    photos = "1 photo" if len(names) == 1 else f"{len(names):,} photos"
    return f"{photos} {what}: {', '.join(names[:SHOWN])}{more}"
