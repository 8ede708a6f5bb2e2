"""Checks of photos before they are used: whether every one can be read, and which are the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from maskcls.data.layouts.source import layout_named, read_unlabelled
from maskcls.data.photos.images import decode, each_image
from maskcls.data.photos.same_photos import Groups, equal_keys, rows_of_common_size, rows_of_equal_size
from maskcls.data.rows.repeated_photos import SamePhoto, same_photos
from maskcls.errors import DataError
from maskcls.machine import reading_threads
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter
from maskcls.show.terminal.text import plural
from maskcls.training.experiment import Experiment

ALLOW = "data.same_photos=allow"


def check_photos(root: Path, paths: list[str], cfg: Config, report: Reporter) -> Groups:
    """Decode every photo once, showing progress, and return the groups of rows whose files have the same bytes.

    Raises one DataError that lists all photos that cannot be read. Every file is read once; only files of equal size
    are hashed.
    """
    alike, digests = rows_of_equal_size(root, paths), dict[int, bytes]()

    def check(row: int, data: bytes) -> None:
        decode(data, root / paths[row])
        if row in alike:
            digests[row] = hashlib.sha256(data).digest()

    each_image(
        root,
        paths,
        check,
        threads=reading_threads(cfg.device.workers),
        on_progress=lambda done: report.images("checking photos", done, len(paths)),
    )
    return equal_keys(digests)


def check_same_photos(experiment: Experiment, report: Reporter) -> None:
    """Raise DataError if one photo is of several people in different folds, or has different labels; note the rest.

    `data.same_photos=allow` turns the error into a note.
    """
    cfg = experiment.cfg
    frame = experiment.manifest.assign(path=experiment.photo_paths)
    found = same_photos(frame, experiment.same_photos, cfg.space)
    harmful = [fault for one in found if (fault := _harm(one, experiment))]
    if harmful and cfg.data.same_photos == "refuse":
        raise DataError(
            "the same photo is of several people in different folds, or has different labels",
            where=str(experiment.data),
            offenders=harmful,
            expected="one person and one label for every photo",
            fix=f"correct the data set; or train on it as it is with {ALLOW}",
        )
    if harmful:
        report.note(f"warning: {_counted(len(harmful))} of several people or with different labels: {harmful[0]}")
    if rest := [one for one in found if not _harm(one, experiment)]:
        report.note(f"{_counted(len(rest))} repeated in one fold, with equal labels: {rest[0]}")
    _note_eval(experiment, report)


def _harm(one: SamePhoto, experiment: Experiment) -> str:
    """Return what is wrong with rows of one photo; "" if it changes no score."""
    folds = sorted(set(experiment.fold[list(one.rows)].tolist()))
    why = [f"different labels of {', '.join(one.labels)}"] if one.labels else []
    if one.people and len(folds) > 1:
        why.append("in different folds")
    return f"{one}: {', '.join(why)}" if why else ""


def _note_eval(experiment: Experiment, report: Reporter) -> None:
    """Note which photos to predict are also trained on; the data set's rows to predict need not be there, or right."""
    cfg, data, train = experiment.cfg, experiment.data, experiment.manifest.assign(path=experiment.photo_paths)
    if not layout_named(cfg.data.format).has_unlabelled(data):
        return
    try:
        frame = pd.concat([train, read_unlabelled(data, cfg.data.format, cfg.space)], ignore_index=True)
        groups = _equal_in_both(experiment.photo_root, frame["path"].tolist(), len(train), cfg)
    except DataError as error:
        report.note(f"photos to predict were not compared with those trained on: {error.what} ({error.where})")
        return
    if both := [one for one in same_photos(frame, groups, cfg.space) if one.eval]:
        report.note(f"warning: {_counted(len(both))} trained on and also to be predicted: {both[0]}")


def _equal_in_both(root: Path, paths: list[str], first: int, cfg: Config) -> Groups:
    """Return the groups of equal files among the first ones and the rest; raises DataError for unreadable files."""
    rows, digests = rows_of_common_size(root, paths, first), dict[int, bytes]()

    def read(place: int, data: bytes) -> None:
        digests[rows[place]] = hashlib.sha256(data).digest()

    each_image(root, [paths[row] for row in rows], read, threads=reading_threads(cfg.device.workers))
    return equal_keys(digests)


def _counted(photos: int) -> str:
    return f"{plural(photos, 'photo')} {'is' if photos == 1 else 'are'}"
