"""unsealed.json: the score of a run on its sealed people, written once by `maskcls unseal`."""

from __future__ import annotations

from maskcls import owned
from maskcls.results.scores.intervals import Interval
from maskcls.rundir import RunDir
from maskcls.runs.summary import SavedScores
from maskcls.typedjson import JsonFile


class SealedScore(JsonFile):
    """The content of unsealed.json.

    scores       of the sealed people's photos.
    interval     of the joint macro-F1, over people; None where no row has a label of every task.
    out_of_fold  macro-F1 of the run's out-of-fold rows at that time.
    out_of_fold_classes  how many joint classes that macro-F1 is over; None in records of earlier versions.
    weights      sha256 of the networks that predicted, sorted.
    sealed       identifies the sealed people.
    date         of the scoring, ISO 8601 with time zone.
    """

    scores: SavedScores
    interval: Interval | None
    people: int
    rows: int
    out_of_fold: float | None
    weights: tuple[str, ...]
    views: str
    sealed: str
    date: str
    out_of_fold_classes: int | None = None


def read_sealed_score(run: RunDir) -> SealedScore | None:
    """Read the record; None where the run was not scored yet, ResultError when the file is damaged."""
    return owned.read(run.unsealed, run.path, SealedScore) if run.unsealed.exists() else None


def write_sealed_score(run: RunDir, found: SealedScore) -> None:
    """Commit the record."""
    owned.write(run.unsealed, run.path, found)
