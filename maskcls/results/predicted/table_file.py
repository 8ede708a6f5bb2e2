"""A table of predicted photos as a file with a sidecar, written block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from maskcls import files
from maskcls.errors import ResultError, UsageError
from maskcls.labels import UNKNOWN
from maskcls.results.csv_with_origin import KEPT, VERSION, check_free
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


def are_of(lineage: Mapping[str, Any], paths: Sequence[Path]) -> bool:
    """Return whether these tables, as far as they are there, were written by the prediction with this lineage.

    A table counts whose hash is the one in its sidecar; so does a sidecar without a table, which is written first.
    """
    return all(map(partial(_is_of, lineage), filter(_is_begun, paths)))


def _is_begun(path: Path) -> bool:
    return path.exists() or files.sidecar_path(path).exists()


def _is_of(lineage: Mapping[str, Any], path: Path) -> bool:
    try:
        found = files.read_json(files.sidecar_path(path))
        return bool(
            found["kind"] == SUBMISSION.kind
            and found["lineage"] == lineage
            and (not path.exists() or found["sha256"] == files.file_sha256(path))
        )
    except (ResultError, KeyError, TypeError):
        return False


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
        is_there = output.path.is_file() and files.file_sha256(output.path) == digest
        classes = [{"label": n, "name": name, "rows": counts[n]} for n, name in enumerate(space.joint_names)]
        _commit_sidecar(
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
        if not is_there:  # a backup of the same bytes would replace that of an older table
            files.put_in_place(temporary, output.path)
    finally:
        temporary.unlink(missing_ok=True)
    return WrittenTable(output.path, sidecar, digest, counts.total(), counts[UNKNOWN])


def check_not_an_output(outputs: Sequence[Path], names: Iterable[str], inputs: Iterable[Path] = ()) -> None:
    """Raise UsageError when an output, or its sidecar, is one of the files to read: photos, or `inputs`."""
    written = [*outputs, *map(files.sidecar_path, outputs)]
    files.check_outputs(*written, inputs=inputs)
    taken = {path.resolve() for path in written if path.exists()}
    if taken and (met := next((name for name in names if Path(name).resolve() in taken), None)):
        raise UsageError("the output is a photo to predict", where=met, fix="choose another name")


def _commit_sidecar(path: Path, data: Mapping[str, Any]) -> None:
    """Write a sidecar and keep an old one as `.bak`, unless that says the same."""
    if path.exists():
        old = files.read_file(path, KEPT)
        if old == files.json_bytes(data):
            return
        files.commit(path.with_name(path.name + ".bak"), old)
    files.commit(path, files.json_bytes(data))
