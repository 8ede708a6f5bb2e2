"""A CSV table and the JSON file beside it that describes it (its sidecar): written, checked and read as one.

The sidecar of `x.csv` is `x.json`. It holds `kind`, `version`, the CSV's name and sha256, then what the kind of table
adds, and last a digest of all this. It is committed first, so a CSV that is there is finished. A kill between the two
commits leaves the old CSV or none, beside a sidecar whose hash does not match: a reader rejects that pair, and the same
command writes it again, see maskcls/files/outputs.py.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from maskcls import files
from maskcls.csvfile import TABLE, read_columns, refuse_formulas
from maskcls.errors import BusyError, DataError, MaskclsError, ResultError
from maskcls.files import OutputFile
from maskcls.files.source_code import code_sha256

Parsed = TypeVar("Parsed")

VERSION = 1
CODE = "code_sha256"  # key of what wrote it; sidecars of earlier versions have none
ALWAYS = {"kind", "version", "file", "sha256"}  # keys of a sidecar of any kind of table


@dataclass(frozen=True)
class TableKind:
    """One kind of table.

    kind                 the sidecar's `kind`.
    name                 what messages call the table, such as "the groups".
    fix                  what to do when the two files are damaged or do not match.
    ignores_other_kinds  treat a sidecar of another kind as none; otherwise it is an error.
    """

    kind: str
    name: str
    fix: str
    ignores_other_kinds: bool = False


def write_csv(
    path: Path,
    columns: Mapping[str, Sequence[object]],
    table: TableKind,
    details: Mapping[str, Any],
    *,
    beside: Sequence[OutputFile] = (),
    force: bool,
) -> str:
    """Write a CSV and its sidecar, read the CSV again and compare it; return the CSV's sha256.

    columns  {name: N cells}, written as `str` gives them; UTF-8, `\\n` line ends, quotes only where they are needed.
    details  plain JSON data that the sidecar holds after kind, version, file and sha256.
    beside   further files of the same command, written before these two.
    force    replace what is there; the old files stay beside the new ones as `.bak`.

    On any failure all files are put back as they were. Raises what `files.commit_outputs` raises, ResultError when the
    file reads back differently, UsageError for a name without a sidecar, ValueError for columns of unequal length.
    """
    data = csv_bytes(columns)
    digest = files.sha256(data)
    outputs = [*beside, sidecar_file(path, table, digest, details), OutputFile(path, data)]
    files.commit_outputs(outputs, force=force, check=lambda: _verify(path, columns, table))
    return digest


def sidecar_file(path: Path, table: TableKind, digest: str, details: Mapping[str, Any]) -> OutputFile:
    """Return the sidecar of a table with this sha256, as a file to write."""
    origin = {"kind": table.kind, "version": VERSION, "file": path.name, "sha256": digest, **details}
    origin[CODE] = code_sha256()
    return OutputFile(
        files.sidecar_path(path),
        files.json_bytes(files.with_digest(origin)),
        lambda found: _belongs_to(found, path, table),
    )


def csv_bytes(columns: Mapping[str, Sequence[object]]) -> bytes:
    """Return {name: N cells} as a CSV: UTF-8, `\\n` line ends, quotes only where a reader needs them.

    Floats are written in the shortest form that reads back exactly. Raises ValueError for columns of unequal length,
    DataError for text that a spreadsheet would run.

    >>> csv_bytes({"id": ["a", "b,c"], "n": [1, 0.5]})
    b'id,n\\na,1\\n"b,c",0.5\\n'
    """
    texts = (cell for cells in (columns, *columns.values()) for cell in cells if isinstance(cell, str))
    refuse_formulas(texts, fix="rename the photo, the person or the class")
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue().encode()


def check_free(path: Path, table: TableKind, *beside: Path, inputs: Iterable[Path], force: bool) -> None:
    """Raise an error if a CSV and its sidecar cannot be written, or would be replaced, unless `force`.

    beside  further files of the same command. inputs: files and folders that it reads.

    Raises what `files.refuse_finished` raises, BusyError for a sidecar that no killed command left, UsageError for a
    name without a sidecar.
    """
    sidecar = files.sidecar_path(path)
    files.refuse_finished(*beside, sidecar, path, inputs=inputs, force=force)
    if force or path.exists() or not sidecar.exists():
        return
    if not _belongs_to(files.read_file(sidecar, files.SIDECAR_FILE), path, table):
        raise BusyError("the output exists", where=str(sidecar), fix=files.FORCE)


def read_origin(
    path: Path, table: TableKind, parse: Callable[[Mapping[str, Any]], Parsed]
) -> tuple[str, Parsed | None]:
    """Return a CSV's sha256 and what its sidecar holds, as `parse` reads it; None where there is no sidecar.

    Raises DataError for a CSV that cannot be read, a damaged sidecar, and a sidecar that describes other bytes.
    """
    sidecar = files.sidecar_path(path)
    digest = _digest(path, table)
    found = read_sidecar(path, table, lambda data: (str(data["sha256"]), parse(data)))
    if found is None:
        return digest, None
    expected, origin = found
    if digest != expected:
        raise DataError(
            f"the CSV file of {table.name} does not match its sidecar",
            where=f"{path} and {sidecar.name}",
            got=f"sha256 {digest[:16]}…",
            expected=f"sha256 {expected[:16]}…",
            fix=table.fix,
        )
    return digest, origin


def read_sidecar(path: Path, table: TableKind, parse: Callable[[Mapping[str, Any]], Parsed]) -> Parsed | None:
    """Return what the sidecar of a CSV holds, as `parse` reads it; None without one. The CSV itself is not read.

    parse  may raise KeyError, TypeError, ValueError, AttributeError or ResultError for entries that are wrong.

    Raises DataError for a damaged sidecar, and for one of another kind unless the table ignores those.
    """
    sidecar = files.sidecar_path(path)
    if not sidecar.is_file():
        return None
    try:
        data = files.read_json(sidecar, files.SIDECAR_FILE)
        if isinstance(data, dict) and data.keys() >= ALWAYS:  # others may have a digest of their own
            data = files.without_digest(data, sidecar, required=False)
        if table.ignores_other_kinds and not _is_of(data, table):
            return None
        if (data["kind"], data["version"]) != (table.kind, VERSION):
            raise ValueError(f"{data['kind']!r}, version {data['version']!r}")
        return parse(data)
    except (ResultError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"the sidecar of {table.name} cannot be read",
            where=str(sidecar),
            got=error.brief if isinstance(error, ResultError) else f"{type(error).__name__}: {error}",
            expected=f"{table.kind}, version {VERSION}",
            fix=table.fix,
        ) from None


def _digest(path: Path, table: TableKind) -> str:
    return files.file_sha256(path, files.FileKind(table.name, DataError, TABLE.most, TABLE.fix))


def _belongs_to(sidecar: bytes, path: Path, table: TableKind) -> bool:
    try:
        data = json.loads(sidecar)
    except (ValueError, RecursionError):
        return False
    return _is_of(data, table) and data.get("file") == path.name


def _is_of(data: object, table: TableKind) -> bool:
    return isinstance(data, dict) and data.get("kind") == table.kind


def _verify(path: Path, columns: Mapping[str, Sequence[object]], table: TableKind) -> None:
    """Read the file again and compare every cell; ResultError names the first that differs."""
    try:
        found = read_columns(path)
    except MaskclsError as error:
        raise ResultError(
            f"{table.name} cannot be read back",
            where=str(path),
            got=error.what,
            fix="check the disk and write it again",
        ) from None
    if list(found) != list(columns):
        expected, got = (", ".join(names) for names in (columns, found))
        raise ResultError(
            f"{table.name} read back with other columns",
            where=str(path),
            got=got,
            expected=expected,
            fix="check the disk and write it again",
        )
    for name, column in columns.items():
        wanted, got_cells = list(map(str, column)), found[name]
        if wanted == got_cells:
            continue
        pairs = enumerate(zip(wanted, got_cells, strict=False))
        row = next((i for i, (a, b) in pairs if a != b), min(len(wanted), len(got_cells)))
        raise ResultError(
            f"{table.name} read back differently, so the file was withdrawn",
            where=f"{path}, column {name}, row {row + 1}",
            got=f"{len(got_cells)} rows; {got_cells[row : row + 1]}",
            expected=f"{len(wanted)} rows; {wanted[row : row + 1]}",
            fix="check the disk and write it again",
        )
