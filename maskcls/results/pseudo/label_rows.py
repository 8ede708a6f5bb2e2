"""The checks that every row of pseudo labels must pass.

N rows, J joint classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from maskcls.errors import DataError, ResultError
from maskcls.labels import UNKNOWN, LabelSpace
from maskcls.results.added.added_set import AddedSet, faulty_rows
from maskcls.results.added.set_names import set_name
from maskcls.results.predictions import Predictions


def check_sets(sets: Mapping[int, AddedSet], space: LabelSpace, path: Path, *, soft: bool) -> None:
    """Raise DataError for what no training may be given, ValueError for arrays that do not fit together."""
    path_of: dict[str, str] = {}
    for fold, rows in sets.items():
        _check_rows(rows, space, f"{path}, set {set_name(fold)}", soft=soft)
        pairs = list(zip(rows.ids.tolist(), rows.paths.tolist(), strict=True))
        torn = [f"{id!r}: {path_of[id]!r} and {own!r}" for id, own in pairs if path_of.setdefault(id, own) != own]
        if torn:
            raise DataError(
                "an id has two paths",
                where=f"{path}, set {set_name(fold)}",
                offenders=torn,
                fix="give every photo one path, or label again with maskcls pseudo-label",
            )


def _check_rows(rows: AddedSet, space: LabelSpace, where: str, *, soft: bool) -> None:
    if not len(rows):
        fix = "lower the thresholds, or label more photos"
        raise DataError("no photo reached the thresholds in a set of pseudo labels", where=where, fix=fix)
    space.encode(rows.labels)
    known_TN = np.stack([rows.labels[name] for name in space.names]) != UNKNOWN
    if soft != (rows.prob is not None):
        raise ValueError(f"the columns of {where} do not fit together")
    faults = faulty_rows(rows, ("no task has a label", ~known_TN.any(axis=0)))
    if faults:
        raise DataError(
            "rows of pseudo labels are wrong",
            where=where,
            offenders=faults,
            fix="correct these rows, or label again with maskcls pseudo-label",
        )
    if rows.prob is not None:
        try:
            Predictions(rows.ids, rows.prob, space)
        except ResultError as error:
            raise DataError(
                error.what,
                where=where,
                got=error.got,
                offenders=error.offenders,
                fix="label again with maskcls pseudo-label",
            ) from None
