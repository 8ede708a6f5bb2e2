"""Write the submission CSV, whole or not at all, and the sidecar that says where it comes from.

N rows, J joint classes. Ids are text from end to end: `00123`, `1e5` and `NA` leave as they came.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import files
from maskcls.errors import BusyError, DataError, MaskclsError, ResourceError, ResultError
from maskcls.labels import Ints, LabelSpace
from maskcls.results.submissions.answers import read_columns

KIND = "maskcls submission"
FORMULA_STARTS = ("=", "+", "@", "\t", "\r")  # "-" is left out: file names start with it, and it opens no function
LINE_BREAKING = re.compile(r"[\0\r\n\ud800-\udfff]")


@dataclass(frozen=True)
class Written:
    """What `write_submission` left on disk. class_rows: rows given each joint class, J of them."""

    path: Path
    sidecar: Path
    sha256: str
    rows: int
    class_rows: tuple[int, ...]


def write_submission(
    path: Path,
    *,
    header: tuple[str, str],
    ids: Sequence[str],
    labels: Ints,
    space: LabelSpace,
    lineage: Mapping[str, Any],
    extra_columns: Mapping[str, Sequence[str]] | None = None,
    force: bool = False,
) -> Written:
    """Write `id,label` rows in the order given, and a sidecar `.json` of the same stem with hash and lineage.

    header         names of the id and the label column, `("ImageID", "ans")` in the contest.
    ids            N texts. A repeated id is allowed, because the file asked for may hold one, but only with one label.
    labels         (N,) int, 0..J-1.
    lineage        plain JSON data, stored as the sidecar's `lineage`.
    extra_columns  further columns of N texts each.
    force          replace what is there; the old files stay beside the new ones as `.bak`.

    UTF-8, `\\n` line ends, quotes only where a CSV reader needs them. The sidecar is committed first, so the CSV's
    presence means that the step is finished; a kill between the two leaves either no CSV or the old one, and a
    sidecar whose hash does not match it. After the write the file is read again and compared; on any failure both
    files are put back as they were.

    Raises BusyError when an output exists, DataError for ids a CSV or a spreadsheet would change, ResultError for
    labels that are none or a file that reads back differently, ResourceError when the disk refuses.
    """
    path, ids = path.resolve(), list(ids)
    _check_header([*header, *(extra_columns or {})])
    _check_labels(labels, len(ids), space)
    _check_ids(ids, labels)
    columns = {header[0]: ids, header[1]: labels.tolist(), **(extra_columns or {})}
    data = _to_csv(columns)
    class_rows = np.bincount(labels.astype(np.int64), minlength=space.size).tolist()
    written = Written(path, files.sidecar_path(path), files.sha256(data), len(labels), tuple(class_rows))
    _check_free(written, force=force)
    with _put_back_on_failure(written.sidecar, path):
        files.commit_json(written.sidecar, _sidecar(written, list(columns), space, lineage))
        files.commit(path, data)
        _verify(path, columns)
    return written


def sidecar_space(path: Path) -> LabelSpace | None:
    """Return the label space a submission was written with, None when no sidecar of ours stands beside it.

    Raises DataError when the sidecar is damaged or belongs to other bytes.
    """
    sidecar = path.with_suffix(".json")
    if sidecar == path or not sidecar.is_file() or not path.is_file():
        return None
    try:
        data = files.read_json(sidecar)
        if not _is_ours(data):
            return None
        expected, space = str(data["sha256"]), LabelSpace.from_json(data["label_space"]["tasks"])
    except (ResultError, KeyError, TypeError) as error:
        raise DataError(
            "the submission's sidecar cannot be read",
            where=str(sidecar),
            got=f"{type(error).__name__}: {getattr(error, 'got', None) or error}",
            fix="write the submission again, or move the sidecar away to read the CSV without it",
        ) from None
    found = files.file_sha256(path)
    if found != expected:
        raise DataError(
            "the submission is not the file its sidecar describes",
            where=f"{path} and {sidecar.name}",
            got=f"sha256 {found[:16]}…",
            expected=f"sha256 {expected[:16]}…",
            fix="write the submission again, or move the sidecar away if the CSV was changed on purpose",
        )
    return space


def _check_labels(labels: Ints, rows: int, space: LabelSpace) -> None:
    if labels.dtype.kind not in "iu" or labels.shape != (rows,):
        raise ResultError(
            "labels do not fit the ids",
            got=f"{labels.dtype} of shape {labels.shape}",
            expected=f"whole numbers of shape ({rows},)",
        )
    outside = np.flatnonzero((labels < 0) | (labels >= space.size))
    if len(outside):
        raise ResultError(
            "a label is outside the joint classes",
            expected=f"0..{space.size - 1}",
            offenders=[f"row {row + 1}: {labels[row]}" for row in outside],
        )


def _check_ids(ids: Sequence[str], labels: Ints) -> None:
    if not ids:
        raise DataError("there is nothing to submit", got="0 rows", expected="at least one image")
    broken = [repr(name) for name in ids if not name or LINE_BREAKING.search(name)]
    if broken:
        raise DataError(
            "an id cannot stand in a CSV file",
            expected="text that is not empty and has no line break, NUL or half a character",
            fix="rename these images in the table",
            offenders=broken,
        )
    formulas = [repr(name) for name in ids if name.startswith(FORMULA_STARTS)]
    if formulas:
        raise DataError(
            "a spreadsheet would run an id as a formula",
            expected="ids that do not start with =, +, @, a tab or a carriage return",
            fix="rename these images in the table",
            offenders=formulas,
        )
    label_of = dict(zip(ids, labels.tolist(), strict=True))
    torn = [repr(name) for name, label in zip(ids, labels.tolist(), strict=True) if label_of[name] != label]
    if torn:
        raise ResultError("one id has two labels", expected="the same label on every row of an id", offenders=torn)


def _check_header(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise DataError("a column stands twice", got=", ".join(names), fix="rename the task or the column")


def _to_csv(columns: Mapping[str, Sequence[Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue().encode()


def _sidecar(written: Written, columns: list[str], space: LabelSpace, lineage: Mapping[str, Any]) -> dict[str, Any]:
    counts = zip(space.joint_names, written.class_rows, strict=True)
    return {
        "kind": KIND,
        "version": 1,
        "file": written.path.name,
        "sha256": written.sha256,
        "rows": written.rows,
        "columns": columns,
        "label_space": {"fingerprint": space.fingerprint, "tasks": space.to_json()},
        "classes": [{"label": label, "name": name, "rows": rows} for label, (name, rows) in enumerate(counts)],
        "lineage": dict(lineage),
    }


def _check_free(written: Written, *, force: bool) -> None:
    """Refuse to replace what is there. A sidecar without its CSV is what a kill leaves, and may be replaced."""
    for path in (written.path, written.sidecar):
        if path.exists() and not path.is_file():
            raise ResourceError("the output is not a regular file", where=str(path), fix="choose another path")
    if force:
        return
    taken = [written.path] if written.path.exists() else []
    if written.sidecar.exists() and not _belongs_to(written.sidecar, written.path):
        taken.append(written.sidecar)
    if taken:
        raise BusyError(
            "the output exists already",
            where=" and ".join(str(path) for path in taken),
            fix="choose another path, or --force to replace it and keep the old one as .bak",
        )


def _belongs_to(sidecar: Path, path: Path) -> bool:
    try:
        data = files.read_json(sidecar)
    except ResultError:
        return False
    return _is_ours(data) and data.get("file") == path.name


def _is_ours(data: object) -> bool:
    return isinstance(data, dict) and data.get("kind") == KIND


@contextmanager
def _put_back_on_failure(*paths: Path) -> Iterator[None]:
    """Keep what stands at the paths as `.bak`; when the block raises, restore it, or remove what is new."""
    backups = {path: _back_up(path) for path in paths}
    try:
        yield
    except BaseException:
        for path, backup in backups.items():
            with suppress(OSError):  # the first error is the one to report
                if backup is None:
                    path.unlink(missing_ok=True)
                else:
                    os.replace(backup, path)
        raise


def _back_up(path: Path) -> Path | None:
    """Copy a file to `.bak`, so that it stands at its own name until the moment it is replaced."""
    if not path.exists():
        return None
    backup = path.with_name(path.name + ".bak")
    try:
        files.commit(backup, path.read_bytes())
    except OSError as error:
        raise ResourceError("cannot keep the old file", where=str(path), got=error.strerror) from None
    return backup


def _verify(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Read the file again and compare every cell; ResultError names the first that differs."""
    try:
        found = read_columns(path)
    except MaskclsError as error:
        raise ResultError("the submission cannot be read back", where=str(path), got=error.what) from None
    if list(found) != list(columns):
        raise ResultError("the submission has other columns", where=str(path), got=", ".join(found))
    for name, column in columns.items():
        wanted, got = tuple(str(value) for value in column), found[name]
        if wanted == got:
            continue
        row = next((i for i, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), min(len(wanted), len(got)))
        raise ResultError(
            "the submission reads back differently and was withdrawn",
            where=f"{path}, column {name}, row {row + 1}",
            got=f"{len(got)} rows; {got[row : row + 1]}",
            expected=f"{len(wanted)} rows; {wanted[row : row + 1]}",
            fix="check the disk and write it again",
        )
