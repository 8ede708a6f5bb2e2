"""The csv tracker: four small tables per place, replaced as a whole with each change."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from maskcls import files
from maskcls.training.tracking.log import Place

Row = Mapping[str, object]


class CsvLog:
    """A log as CSV files; see `log.Log`."""

    def __init__(self, place: Place, epochs: int) -> None:
        self.folder = place.folder("csv")
        self.rows: list[Row] = list(_read(self.folder.scalars))
        if len(self.rows) > epochs:
            self.rows = []
        self.listed: dict[str, Row] = {}

    @property
    def held(self) -> int:
        """Number of epochs in the table."""
        return len(self.rows)

    def settings(self, settings: Mapping[str, str]) -> None:
        """Write the table of settings."""
        _write(self.folder.settings, [{"key": key, "value": value} for key, value in settings.items()])

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Add a row."""
        rows = [*self.rows, {"epoch": epoch, **values}]
        _write(self.folder.scalars, rows)
        self.rows = rows

    def scores(self, values: Mapping[str, float]) -> None:
        """Write the table of final scores."""
        _write(self.folder.scores, [{"name": name, "value": value} for name, value in values.items()])

    def picture(self, name: str, path: Path) -> None:
        """Write where a picture is."""
        self.file(name, path)

    def file(self, name: str, path: Path) -> None:
        """Write where a result is."""
        if not self.listed:
            self.listed = {str(row["name"]): row for row in _read(self.folder.files)}
        self.listed[name] = {"name": name, "path": str(path)}
        _write(self.folder.files, list(self.listed.values()))

    def close(self, *, complete: bool) -> None:
        """Do nothing: every table is complete."""


def _read(path: Path) -> Sequence[Row]:
    if not path.exists():
        return []
    text = files.read_file(path, files.JSON_FILE).decode(errors="replace")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _write(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.commit(path, text.getvalue().encode())
