"""The photos that an ensemble predicts, and the members' own copies of them: tables and files are read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from maskcls import config
from maskcls.data.layouts.source import check_data, image_root, read_unlabelled
from maskcls.data.rows import manifest as tables
from maskcls.errors import DataError
from maskcls.machine import reading_threads
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_cache
from maskcls.runs.overrides import with_overrides
from maskcls.schema import Config
from maskcls.show.terminal.progress import Reporter

if TYPE_CHECKING:
    from maskcls.data.photos.identity.photo_digests import PhotoDigests


class PhotoCopy:
    """One copy of the photos to predict.

    data   as it was named; root: the folder of its photos; frame: its table.
    """

    def __init__(self, data: Path, cfg: Config) -> None:
        """Read the table; raises DataError for data that are not there, or of another layout than the run's."""
        check_data(data, cfg.data.format, settable=False)
        self.data, self.root = data, image_root(data, cfg.data.format)
        self.frame: pd.DataFrame = read_unlabelled(data, cfg.data.format, cfg.space)
        self._threads = reading_threads(cfg.device.workers)
        self._digests: PhotoDigests | None = None

    def digests(self) -> PhotoDigests:
        """Return what the files are; they are read by the first call, unless they are known."""
        if self._digests is None:
            from maskcls.data.photos.identity.photo_digests import digests_of_table  # Pillow

            self._digests = digests_of_table(self.root, self.frame, threads=self._threads)
        return self._digests

    def keep(self, digests: PhotoDigests | None) -> None:
        """Keep what the files are, as a prediction found them; None: it did not look."""
        if self._digests is None:
            self._digests = digests


class PhotoCopies:
    """All copies that the members of an ensemble predict, that of --data first."""

    def __init__(self, data: Path, run: RunDir, overrides: Sequence[str], report: Reporter) -> None:
        """Read the table of --data in the layout of this run; notes about tables are printed."""
        self._overrides, self._report = list(overrides), report
        self._copies: dict[tuple[Path, str], PhotoCopy] = {}
        self.first = self._read(data, run)

    def of(self, data: Path, run: RunDir) -> PhotoCopy:
        """Return the copy that a run predicts; raises DataError where it has other ids than --data."""
        copy = self._read(data, run)
        ours, theirs = set(copy.frame["id"]), set(self.first.frame["id"])
        if others := sorted(ours ^ theirs):
            raise DataError(
                "a member's own photos are not a copy of those to predict: ids are in one of them alone",
                where=str(data),
                got=f"{len(ours - theirs)} ids in it alone, {len(theirs - ours)} in --data alone",
                offenders=others,
                fix="give it a copy of --data, such as one by maskcls data crop",
            )
        return copy

    def __iter__(self) -> Iterator[PhotoCopy]:
        """Go through the copies."""
        return iter(self._copies.values())

    def _read(self, data: Path, run: RunDir) -> PhotoCopy:
        """Read a copy, unless it is read already: by the same path, in the same layout."""
        cfg = with_overrides(config.of_run(run.config), self._overrides)
        place = (data.resolve(), cfg.data.format)
        if place not in self._copies:
            copy = PhotoCopy(data, cfg)
            check_cache(data, cfg)
            of = f"{data}: " if self._copies else ""
            self._report.notes(f"{of}{note}" for note in tables.notes(copy.frame))
            self._copies[place] = copy
        return self._copies[place]
