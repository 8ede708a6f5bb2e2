"""A CSV table and the JSON file beside it that describes it (its sidecar): written, checked and read as one.

The sidecar of `x.csv` is `x.json`. It holds `kind`, `version`, the CSV's name and sha256, and then what the kind of
table adds. It is committed first, so a CSV that is there is finished. A kill between the two commits leaves the old CSV
or none, beside a sidecar whose hash does not match: a reader rejects that pair, and the same command writes it again.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from maskcls import files
from maskcls.csvfile import read_columns
from maskcls.errors import DataError, MaskclsError, ResourceError, ResultError

Parsed = TypeVar("Parsed")

VERSION = 1


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
    path: Path, columns: Mapping[str, Sequence[object]], table: TableKind, details: Mapping[str, Any], *, force: bool
) -> str:
    """Write a CSV and its sidecar, read the CSV again and compare it; return the CSV's sha256.

    columns  {name: N cells}, written as `str` gives them; UTF-8, `\\n` line ends, quotes only where they are needed.
    details  plain JSON data that the sidecar holds after kind, version, file and sha256.
    force    replace what is there; the old files stay beside the new ones as `.bak`.

    On any failure both files are put back as they were. Raises what `check_free` raises, ResourceError when they
    cannot be written, ResultError when the file reads back differently, ValueError for columns of unequal length.
    """
    data = csv_bytes(columns)
    check_free(path, table, force=force)
    sidecar = files.sidecar_path(path)
    digest = files.sha256(data)
    origin = {"kind": table.kind, "version": VERSION, "file": path.name, "sha256": digest, **details}
    with _put_back_on_failure(sidecar, path):
        files.commit_json(sidecar, origin)
        files.commit(path, data)
        _verify(path, columns, table)
    return digest


def csv_bytes(columns: Mapping[str, Sequence[object]]) -> bytes:
    """Return {name: N cells} as a CSV: UTF-8, `\\n` line ends, quotes only where a reader needs them.

    Floats are written in the shortest form that reads back exactly. Raises ValueError for columns of unequal length.

    >>> csv_bytes({"id": ["a", "b,c"], "n": [1, 0.5]})
    b'id,n\\na,1\\n"b,c",0.5\\n'
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue().encode()


def check_free(path: Path, table: TableKind, *, force: bool) -> None:
    """Raise an error if a CSV or its sidecar would be replaced, unless `force`.

    A sidecar of this kind without its CSV is what a kill leaves, and may be replaced. Raises BusyError for a file that
    is there, UsageError for a name without a sidecar, ResourceError for what is no regular file.
    """
    sidecar = files.sidecar_path(path)
    for output in (path, sidecar):
        if output.exists() and not output.is_file():
            raise ResourceError("the output is not a regular file", where=str(output), fix="choose another path")
    if force:
        return
    foreign = sidecar.exists() and not _belongs_to(sidecar, path, table)
    files.refuse_taken(path, *([sidecar] if foreign else []))


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
        data = files.read_json(sidecar)
        if table.ignores_other_kinds and not _is_of(data, table):
            return None
        if (data["kind"], data["version"]) != (table.kind, VERSION):
            raise ValueError(f"{data['kind']!r}, version {data['version']!r}")
        return parse(data)
    except (ResultError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"the sidecar of {table.name} cannot be read",
            where=str(sidecar),
            got=f"{type(error).__name__}: {getattr(error, 'got', None) or error}",
            expected=f"{table.kind}, version {VERSION}",
            fix=table.fix,
        ) from None


def _digest(path: Path, table: TableKind) -> str:
    if path.exists() and not path.is_file():  # a pipe would block
        raise DataError(f"{table.name} must be a regular file", where=str(path), fix="name a CSV file")
    try:
        return files.file_sha256(path)
    except OSError as error:
        raise DataError(
            f"cannot read {table.name}", where=str(path), got=error.strerror, fix="check the path"
        ) from None


def _belongs_to(sidecar: Path, path: Path, table: TableKind) -> bool:
    try:
        data = files.read_json(sidecar)
    except ResultError:
        return False
    return _is_of(data, table) and data.get("file") == path.name


def _is_of(data: object, table: TableKind) -> bool:
    return isinstance(data, dict) and data.get("kind") == table.kind


@contextmanager
def _put_back_on_failure(*paths: Path) -> Iterator[None]:
    """Keep what is at the paths as `.bak`; when the block raises, restore it, or remove what is new."""
    targets = [Path(os.path.realpath(path)) for path in paths]  # a link stays one, as in `files.commit`
    backups = {target: _back_up(target) for target in targets}
    try:
        yield
    except BaseException:
        for target, backup in backups.items():
            with suppress(OSError):  # the first error is the one to report
                if backup is None:
                    target.unlink(missing_ok=True)
                else:
                    os.replace(backup, target)
        raise


def _back_up(path: Path) -> Path | None:
    """Copy a file to `.bak`, so that it keeps its own name until the moment it is replaced."""
    if not path.exists():
        return None
    backup = path.with_name(path.name + ".bak")
    try:
        files.commit(backup, path.read_bytes())
    except OSError as error:
        raise ResourceError(
            "cannot keep the old file",
            where=str(path),
            got=error.strerror,
            fix="free disk space, or choose another name",
        ) from None
    return backup


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
