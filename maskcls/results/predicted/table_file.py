"""A table of predicted photos as a file with a sidecar, written block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from maskcls import files
from maskcls.errors import UsageError
from maskcls.labels import UNKNOWN
from maskcls.results.csv_with_origin import VERSION, check_free
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
    """What `write_table_file` wrote. unreadable: the number of rows of photos that could not be read."""

    path: Path
    sidecar: Path
    sha256: str
    rows: int
    unreadable: int


def check_tables_free(*paths: Path, force: bool) -> None:
    """Raise BusyError when one of these tables or a sidecar exists, unless `force`; UsageError if they share one."""
    sidecars = [files.sidecar_path(path) for path in paths]
    files.check_outputs(*paths, *sidecars)
    for path in paths:
        check_free(path, SUBMISSION, force=force)


def write_table_file(
    output: TableOutput, blocks: Iterable[PhotoRows], lineage: Mapping[str, Any], *, force: bool
) -> WrittenTable:
    """Write a table and the sidecar of the same stem, in the form of a submission's; memory holds one block.

    The table is complete on disk before the sidecar is committed, and then moved to its name. With `force`, the old
    files stay beside the new ones as `.bak`.

    Raises what `blocks` raises, and then leaves everything as it was; BusyError when an output exists; ResourceError.
    """
    check_tables_free(output.path, force=force)
    counts: Counter[int] = Counter()
    space = output.form.space

    def counted() -> Iterator[PhotoRows]:
        for rows in blocks:
            counts.update(rows.label_N.tolist())
            yield rows

    def write(handle: BinaryIO) -> None:
        write_table(handle, output.format, output.form, counted())

    temporary, digest = files.write_aside(output.path, write)
    try:
        sidecar = files.sidecar_path(output.path)
        _keep_old(sidecar)
        classes = [{"label": n, "name": name, "rows": counts[n]} for n, name in enumerate(space.joint_names)]
        files.commit_json(
            sidecar,
            {
                "kind": SUBMISSION.kind,
                "version": VERSION,
                "file": output.path.name,
                "sha256": digest,
                "rows": counts.total(),
                "columns": list(output.form.kinds),
                "label_space": {"fingerprint": space.fingerprint, "tasks": space.to_json()},
                "classes": classes,
                "lineage": dict(lineage),
            },
        )
        files.put_in_place(temporary, output.path)
    finally:
        temporary.unlink(missing_ok=True)
    return WrittenTable(output.path, sidecar, digest, counts.total(), counts[UNKNOWN])


def check_not_an_output(outputs: Iterable[Path], names: Iterable[str]) -> None:
    """Raise UsageError when an output is one of the files to read."""
    taken = {path.resolve() for path in outputs if path.exists()}
    if taken and (met := next((name for name in names if Path(name).resolve() in taken), None)):
        raise UsageError("the output is a photo to predict", where=met, fix="choose another name")


def _keep_old(path: Path) -> None:
    if path.exists():
        files.commit(path.with_name(path.name + ".bak"), path.read_bytes())
