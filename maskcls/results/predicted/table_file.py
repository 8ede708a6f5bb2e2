"""A table of predicted photos as a file with a sidecar, written block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from maskcls import files
from maskcls.errors import UsageError
from maskcls.files import OutputFile
from maskcls.labels import UNKNOWN
from maskcls.results.csv_with_origin import check_free, sidecar_file
from maskcls.results.predicted.formats import TableFormat, write_table
from maskcls.results.predicted.rows import PhotoRows, TableForm
from maskcls.results.submissions.write import SUBMISSION


@dataclass(frozen=True)
class TableOutput:
    """A table to write: where, in which format, with which columns."""

    path: Path
    format: TableFormat
    form: TableForm


@dataclass(frozen=True)
class WrittenTable:
    """A table that was written. unreadable: the number of rows of photos that could not be read."""

    path: Path
    sidecar: Path
    sha256: str
    rows: int
    unreadable: int


def check_tables_free(*paths: Path, inputs: Iterable[Path], force: bool) -> None:
    """Raise BusyError when these tables and their sidecars exist, unless `force`; UsageError if they share one.

    paths   the main table first. inputs: files and folders that are read, of which no table may be a part.
    """
    if paths:
        further = [file for path in paths[1:] for file in (files.sidecar_path(path), path)]
        check_free(paths[0], SUBMISSION, *further, inputs=inputs, force=force)


@contextmanager
def table_aside(
    output: TableOutput, blocks: Iterable[PhotoRows], lineage: Mapping[str, Any]
) -> Iterator[tuple[WrittenTable, tuple[OutputFile, OutputFile]]]:
    """Write a table aside, in memory of one block; yield what it is, and the sidecar and the table as files to write.

    The sidecar has the same stem and the form of a submission's. Raises what `blocks` raises, and ResourceError.
    """
    counts: Counter[int] = Counter()
    space = output.form.space

    def counted() -> Iterator[PhotoRows]:
        for rows in blocks:
            counts.update(rows.label_N.tolist())
            yield rows

    def write(handle: BinaryIO) -> None:
        write_table(handle, output.format, output.form, counted())

    with files.written_aside(output.path, write) as aside:
        classes = [{"label": n, "name": name, "rows": counts[n]} for n, name in enumerate(space.joint_names)]
        details = {
            "rows": counts.total(),
            "columns": list(output.form.kinds),
            "label_space": {"fingerprint": space.fingerprint, "tasks": space.to_json()},
            "classes": classes,
            "lineage": dict(lineage),
        }
        sidecar = sidecar_file(output.path, SUBMISSION, aside.sha256, details)
        found = WrittenTable(output.path, sidecar.path, aside.sha256, counts.total(), counts[UNKNOWN])
        yield found, (sidecar, OutputFile(output.path, aside))


def check_not_an_output(outputs: Sequence[Path], names: Iterable[str], inputs: Iterable[Path] = ()) -> None:
    """Raise UsageError when an output, or its sidecar, is one of the files to read: photos, or `inputs`."""
    written = [*outputs, *map(files.sidecar_path, outputs)]
    files.check_outputs(*written, inputs=inputs)
    taken = {path.resolve() for path in written if path.exists()}
    if taken and (met := next((name for name in names if Path(name).resolve() in taken), None)):
        raise UsageError("the output is a photo to predict", where=met, fix="choose another name")
