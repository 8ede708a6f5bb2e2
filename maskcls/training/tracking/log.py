"""What a tracker receives, under the same names in all of them.

A log belongs to a place: one network, or the whole run. The x-axis is the epoch, counted from 0 as in log.jsonl.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from maskcls import files, owned
from maskcls.rundir import RunDir, TrackerDir
from maskcls.schema import TrackerName, TrackingConfig

RUN = "run"  # the place of the whole run
LAST = "train/loss"  # every epoch has it, and trackers write it last: an epoch without it is incomplete


@dataclass(frozen=True)
class Place:
    """What a log is about. name: the network's folder in the run, such as members/age/fold0, or RUN."""

    run: RunDir
    name: str
    how: TrackingConfig

    @property
    def run_name(self) -> str:
        """The name of the run, for people."""
        return self.how.name or self.run.path.resolve().name

    @property
    def title(self) -> str:
        """The name of this log, for people."""
        return self.run_name if self.name == RUN else f"{self.run_name}/{self.name}"

    def folder(self, tracker: TrackerName) -> TrackerDir:
        """Return where a tracker keeps this log."""
        return self.run.tracker(tracker, self.name)

    def read_identity(self, tracker: TrackerName) -> dict[str, Any] | None:
        """Read what `keep_identity` kept; None where nothing is, ResultError when it was changed or is another's."""
        path = self.folder(tracker).identity
        return owned.without_owner(files.read_json(path), path, self.run.path) if path.exists() else None

    def keep_identity(self, tracker: TrackerName, known: Mapping[str, Any]) -> None:
        """Commit what a tracker needs to continue this log."""
        path = self.folder(tracker).identity
        files.commit_json(path, owned.with_owner(known, path, self.run.path))


class Log(Protocol):
    """The log of one place in one tracker. Its methods may raise anything; see `guard`.

    It is made with the number of epochs that the training has finished. A log that holds more is of a training that
    was deleted: it begins again. Nothing is written before one of the methods is called.
    """

    @property
    def held(self) -> int:
        """Number of complete epochs in the log; the caller adds those that follow."""

    def settings(self, settings: Mapping[str, str]) -> None:
        """Write the settings by dotted key, as JSON text."""

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the finite numbers of one epoch; LAST is the last of them."""

    def scores(self, values: Mapping[str, float]) -> None:
        """Write final scores; they replace those written before."""

    def picture(self, name: str, path: Path) -> None:
        """Write a PNG."""

    def file(self, name: str, path: Path) -> None:
        """Write where a result is."""

    def close(self, *, complete: bool) -> None:
        """Finish writing; complete: whether the training ended without an error."""
