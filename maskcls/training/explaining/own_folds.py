"""Photos of a run's own table, and the networks that did not train on them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maskcls import files
from maskcls.data.photos.identity.photo_digests import digest
from maskcls.data.photos.images import PHOTO, read_bytes
from maskcls.data.photos.same_photos import equal_keys, rows_of_common_size
from maskcls.errors import DataError, UsageError, shell_word
from maskcls.runs.networks import Choice
from maskcls.schema.group_noun import group_noun
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import refuse_paths


@dataclass(frozen=True)
class InTable:
    """Where a photo is in a run's table.

    rows      rows of the manifest with the same file content; none for a photo that is not in it.
    left_out  the folds that left out all of them.
    """

    rows: tuple[int, ...]
    left_out: tuple[int, ...]


def find_in_table(experiment: Experiment, photos: Sequence[Path]) -> list[InTable]:
    """Return for each photo where it is in the run's table, by the content that the run began with; of a run of an
    earlier version, which does not know it, by the content of the files. Files that cannot be read are not found.

    Raises UsageError for a photo of a sealed person, whom no part of the run may see before `unseal`, WeightsError for
    a file of the table whose content changed.
    """
    if experiment.sealed is not None and not experiment.run.unsealed.exists():
        sealed = _same_photos(experiment, experiment.sealed["id"].tolist(), experiment.sealed["path"].tolist(), photos)
        if found := [str(photo) for photo, rows in zip(photos, sealed, strict=True) if rows]:
            fix = f"name other photos, or first type maskcls unseal {shell_word(experiment.run.path)}"
            raise UsageError(f"these photos are of sealed {group_noun(experiment.cfg)[1]}", offenders=found, fix=fix)
    same = _same_photos(experiment, experiment.manifest["id"].tolist(), experiment.photo_paths, photos)
    return [_in_table(experiment, rows) for rows in same]


def _in_table(experiment: Experiment, rows: tuple[int, ...]) -> InTable:
    folds = {int(experiment.fold[row]) for row in rows}
    return InTable(rows, tuple(folds) if len(folds) == 1 and min(folds) >= 0 else ())


@dataclass(frozen=True)
class Chosen:
    """Which networks explain a photo: those that predict new photos under this choice, of these folds."""

    folds: tuple[int, ...]
    choice: Choice

    def trained_on(self, place: InTable) -> bool:
        """Tell whether one of them trained on a photo."""
        left_out = self.choice == "folds" and set(self.folds) <= set(place.left_out)
        return bool(place.rows) and not left_out


def choose_networks(place: InTable, folds: Sequence[int], choice: Choice, asked: Sequence[int] | None = None) -> Chosen:
    """Return which networks explain a photo.

    The scored networks of the fold that left it out, for a photo of the run's table; otherwise, and if no trained fold
    left it out, those that predict new photos.

    folds   those of the run that are trained; choice: predict.networks.
    asked   folds to use instead, for every photo.

    >>> choose_networks(InTable((7,), (1,)), (0, 1, 2), "refit")
    Chosen(folds=(1,), choice='folds')
    >>> choose_networks(InTable((), ()), (0, 1, 2), "refit")
    Chosen(folds=(0, 1, 2), choice='refit')
    """
    if asked is not None:
        return Chosen(tuple(asked), "folds")
    own = tuple(k for k in place.left_out if k in folds)
    return Chosen(own, "folds") if own else Chosen(tuple(folds), choice)


def _same_photos(
    experiment: Experiment, ids: Sequence[str], paths: Sequence[str], photos: Sequence[Path]
) -> list[tuple[int, ...]]:
    """Return for each photo the rows that had its content when the run began; see `find_in_table`."""
    if experiment.photos is None:
        return _same_files(experiment.photo_root, paths, photos)
    rows_of, row_at = dict[bytes, list[int]](), dict[str, int]()
    for row, (path, one) in enumerate(zip(paths, experiment.photos.of(ids).digest_ND, strict=True)):
        rows_of.setdefault(one.tobytes(), []).append(row)
        row_at[os.path.abspath(experiment.photo_root / path)] = row
    found, changed = [tuple[int, ...]()] * len(photos), []
    for number, photo in enumerate(photos):
        with contextlib.suppress(DataError):  # such a photo is named where it is predicted
            found[number] = tuple(rows_of.get(digest(read_bytes(photo)), ()))
            own = row_at.get(os.path.abspath(photo))
            changed += [paths[own]] if own is not None and own not in found[number] else []
    refuse_paths(experiment, changed)
    return found


def _same_files(root: Path, paths: Sequence[str], photos: Sequence[Path]) -> list[tuple[int, ...]]:
    """Return for each photo the rows of the table whose file has the same bytes."""
    every = [*(os.path.abspath(photo) for photo in photos), *paths]
    hashes = {row: files.file_sha256(root / every[row], PHOTO) for row in rows_of_common_size(root, every, len(photos))}
    found: list[tuple[int, ...]] = [() for _ in photos]
    for group in equal_keys(hashes):
        rows = tuple(row - len(photos) for row in group if row >= len(photos))
        for photo in (row for row in group if row < len(photos)):
            found[photo] = rows
    return found
