"""Whether the photos of a run's table are still those that it began with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from maskcls.data.photos.identity.photo_digests import (
    OTHER_PHOTOS,
    RESTORE,
    PhotoDigests,
    digest,
    digests_of_files,
    digests_of_table,
)
from maskcls.data.photos.images import decode, read_bytes
from maskcls.data.photos.rgb import Pixels
from maskcls.errors import DataError, WeightsError
from maskcls.machine import reading_threads
from maskcls.training.experiment import Experiment

RESTORE_FILES = "restore these files as they were when the run began"
MOVED = "or say where the data are now: --data PATH"


@contextlib.contextmanager
def cured_by_restoring(*, takes_data: bool = True) -> Iterator[None]:
    """Give a DataError about the data of a run the cure of a run: they are restored, not corrected.

    takes_data  whether the verb has the option --data for data that have moved.
    """
    try:
        yield
    except DataError as error:
        raise error.with_fix(", ".join([RESTORE_FILES, *[MOVED] * takes_data])) from None


def with_sealed(known: PhotoDigests, experiment: Experiment) -> PhotoDigests:
    """Return the digests with those of the sealed people's photos, whose files are read for that."""
    if experiment.sealed is None:
        return known
    threads = reading_threads(experiment.cfg.device.workers)
    return known.and_also(digests_of_table(experiment.photo_root, experiment.sealed, threads=threads))


def refuse_other_sizes(experiment: Experiment) -> None:
    """Raise WeightsError for photos whose files have another size than before; nothing is read, missing files pass."""
    if experiment.photos is None:
        return
    before = experiment.photos.of(experiment.manifest["id"].tolist())
    other = []
    for path, size in zip(experiment.photo_paths, before.size_N.tolist(), strict=True):
        with contextlib.suppress(OSError, ValueError):
            if os.stat(experiment.photo_root / path).st_size != size:
                other.append(path)
    refuse_paths(experiment, other)


def refuse_other_photos(experiment: Experiment, before: PhotoDigests, now: PhotoDigests, paths: Sequence[str]) -> None:
    """Raise WeightsError that names the photos whose content was another one before; paths: of the same rows."""
    refuse_paths(experiment, [paths[row] for row in before.changed(now)])


def refuse_changed_rows(experiment: Experiment, rows: Sequence[int]) -> None:
    """Read the photos of some rows of the run's table; raise WeightsError that names those whose content changed."""
    if experiment.photos is None or not len(rows):
        return
    paths, ids = ([column[row] for row in rows] for column in (experiment.photo_paths, experiment.manifest["id"]))
    threads = reading_threads(experiment.cfg.device.workers)
    now = digests_of_files(experiment.photo_root, paths, ids, threads=threads)
    refuse_other_photos(experiment, experiment.photos.of(ids), now, paths)


def known_photo(experiment: Experiment, row: int, *, at_least: tuple[int, int]) -> Pixels:
    """Return a photo of the run's table, see `images.decode`; WeightsError if its content changed."""
    name = experiment.photo_paths[row]
    path = experiment.photo_root / name
    data = read_bytes(path)
    if experiment.photos is not None:
        before = experiment.photos.of([str(experiment.manifest["id"].iat[row])])
        if digest(data) != bytes(before.digest_ND[0]):
            refuse_paths(experiment, [name])
    return decode(data, path, at_least=at_least)


def refuse_paths(experiment: Experiment, paths: Sequence[str]) -> None:
    """Raise WeightsError that names photos of the run's table whose content changed; none: it returns."""
    if paths:
        raise WeightsError(OTHER_PHOTOS, where=str(experiment.photo_root), offenders=paths, fix=RESTORE)
