"""Whether photos can be read, and which of them are the same: every one decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcls.data.photos.identity.photo_digests import CollectedDigests, PhotoDigests
from maskcls.data.photos.images import decode, each_image
from maskcls.data.photos.same_photos import Groups, equal_keys, pixels_in_full, pixels_in_part
from maskcls.machine import reading_threads
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter


def check_photos(
    root: Path, paths: list[str], cfg: Config, report: Reporter, ids: Sequence[str] | None = None
) -> tuple[Groups, PhotoDigests]:
    """Decode every photo once, showing progress; return the groups of rows with equal pixels, and the files' digests.

    Photos that may be equal, because a part of them is, are decoded once more. Raises one DataError that lists all
    photos that cannot be read.

    ids  of the rows; None: their paths.
    """
    threads = reading_threads(cfg.device.workers)
    parts, wholes = dict[int, bytes](), dict[int, bytes]()
    collected = CollectedDigests(paths if ids is None else ids)

    def check(row: int, data: bytes) -> None:
        collected.add(row, data)
        parts[row] = pixels_in_part(decode(data, root / paths[row]))

    def compare(place: int, data: bytes) -> None:
        row = nearly[place]
        wholes[row] = pixels_in_full(decode(data, root / paths[row]))

    each_image(
        root,
        paths,
        check,
        threads=threads,
        on_progress=lambda done: report.images("checking photos", done, len(paths)),
    )
    nearly = [row for group in equal_keys(parts) for row in group]
    each_image(root, [paths[row] for row in nearly], compare, threads=threads)
    return equal_keys(wholes), collected.found
