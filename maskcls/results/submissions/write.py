"""Write the submission CSV, whole or not at all, and its sidecar with the provenance.

N rows, J joint classes. Ids stay text: `00123`, `1e5` and `NA` are written as they were read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskcls import files
from maskcls.csvfile import refuse_formulas
from maskcls.errors import DataError, ResultError
from maskcls.files import OutputFile
from maskcls.labels import Ints, LabelSpace
from maskcls.results.csv_with_origin import TableKind, read_origin, write_csv

SUBMISSION = TableKind(
    "maskcls submission",
    "the submission",
    fix="write the submission again, or move the sidecar away to read the CSV without it",
    ignores_other_kinds=True,
)
LINE_BREAKING = re.compile(r"[\0\r\n\ud800-\udfff]")


@dataclass(frozen=True)
class Written:
    """What `write_submission` wrote. class_rows: number of rows with each joint class, J of them."""

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
    beside: Sequence[OutputFile] = (),
    force: bool = False,
) -> Written:
    """Write `id,label` rows in the order given, and a sidecar `.json` of the same stem with hash and lineage.

    header         names of the id and the label column, `("ImageID", "ans")` in the contest.
    ids            N texts. An id may be repeated, as in the list of ids to predict, but only with one label.
    labels         (N,) int, 0..J-1.
    lineage        plain JSON data, stored as the sidecar's `lineage`.
    extra_columns  further columns of N texts each.
    beside         further files of the same command, written before these.
    force          replace what is there; the old files stay beside the new ones as `.bak`.

    The two files are written by `write_csv`: the sidecar first, then the CSV, which is read again and compared; on any
    failure both files are put back as they were.

    Raises BusyError when an output exists, DataError for ids a CSV or a spreadsheet would change, ResultError for
    labels outside the classes or a file that reads back differently, ResourceError when it cannot be written.
    """
    path, ids = path.resolve(), list(ids)
    _check_header([*header, *(extra_columns or {})])
    _check_labels(labels, len(ids), space)
    _check_ids(ids, labels)
    columns = {header[0]: ids, header[1]: labels.tolist(), **(extra_columns or {})}
    class_rows = np.bincount(labels.astype(np.int64), minlength=space.size).tolist()
    details = _details(list(columns), len(ids), class_rows, space, lineage)
    digest = write_csv(path, columns, SUBMISSION, details, beside=beside, force=force)
    return Written(path, files.sidecar_path(path), digest, len(ids), tuple(class_rows))


def sidecar_space(path: Path) -> LabelSpace | None:
    """Return the label space a submission was written with; None without a sidecar of a submission beside it.

    Raises DataError when the sidecar is damaged or belongs to other bytes.
    """
    if path.suffix == ".json" or not path.is_file():
        return None
    return read_origin(path, SUBMISSION, lambda data: LabelSpace.from_json(data["label_space"]["tasks"]))[1]


def sidecar_lineage(path: Path) -> Mapping[str, Any]:
    """Return the lineage in the sidecar of a submission, empty without one; raises as `sidecar_space`."""
    if path.suffix == ".json" or not path.is_file():
        return {}
    return read_origin(path, SUBMISSION, lambda data: dict(data["lineage"]))[1] or {}


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
        raise DataError("there are no rows to submit", got="0 rows", expected="at least one image")
    broken = [repr(name) for name in ids if not name or LINE_BREAKING.search(name)]
    if broken:
        raise DataError(
            "an id cannot be written to a CSV file",
            expected="text that is not empty and has no line break, NUL or unpaired surrogate",
            fix="rename these images in the table",
            offenders=broken,
        )
    refuse_formulas(ids, fix="rename these images in the table")
    label_of = dict(zip(ids, labels.tolist(), strict=True))
    torn = [repr(name) for name, label in zip(ids, labels.tolist(), strict=True) if label_of[name] != label]
    if torn:
        raise ResultError("one id has two labels", expected="the same label on every row of an id", offenders=torn)


def _check_header(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        raise DataError("a column name occurs twice", got=", ".join(names), fix="rename the task or the column")


def _details(
    columns: list[str], rows: int, class_rows: Sequence[int], space: LabelSpace, lineage: Mapping[str, Any]
) -> dict[str, Any]:
    counts = zip(space.joint_names, class_rows, strict=True)
    return {
        "rows": rows,
        "columns": columns,
        "label_space": {"fingerprint": space.fingerprint, "tasks": space.to_json()},
        "classes": [{"label": label, "name": name, "rows": count} for label, (name, count) in enumerate(counts)],
        "lineage": dict(lineage),
    }
