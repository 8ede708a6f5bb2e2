"""Rows of pseudo labels, and the checks that every row must pass.

N rows, J joint classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskcls.errors import DataError, ResultError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.predictions import Predictions, Texts
from maskcls.results.pseudo.label_columns import set_name
from maskcls.results.scores.metrics import Doubles

PLAIN = re.compile(r"[^\0\r\n\ud800-\udfff]+")


@dataclass(frozen=True, eq=False)
class PseudoRows:
    """Photos with the labels to train on.

    ids     (N,) text, unique.
    paths   (N,) text, relative to the photo root.
    labels  {task: (N,) int64}, -1 = unknown; some task of every row is known.
    prob    (N, J) float32, the soft target; None for hard labels.
    weight  (N,) float64, finite and above 0.
    """

    ids: Texts
    paths: Texts
    labels: Mapping[str, Ints]
    prob: Floats | None
    weight: Doubles

    def __len__(self) -> int:
        return len(self.ids)


def check_sets(sets: Mapping[int, PseudoRows], space: LabelSpace, path: Path, *, soft: bool) -> None:
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


def _check_rows(rows: PseudoRows, space: LabelSpace, where: str, *, soft: bool) -> None:
    if not len(rows):
        fix = "lower the thresholds, or label more photos"
        raise DataError("no photo reached the thresholds in a set of pseudo labels", where=where, fix=fix)
    space.encode(rows.labels)
    ids, known_TN = rows.ids.tolist(), np.stack([rows.labels[name] for name in space.names]) != UNKNOWN
    shapes = {rows.ids.shape, rows.paths.shape, rows.weight.shape, known_TN[0].shape}
    if shapes != {(len(ids),)} or soft != (rows.prob is not None):
        raise ValueError(f"the columns of {where} do not fit together")
    times = Counter(ids)
    texts = list(zip(ids, rows.paths.tolist(), strict=True))
    with np.errstate(over="ignore"):
        weight_N = rows.weight.astype(np.float32)  # what training counts with
    masks = {
        "the id occurs twice": [times[id] > 1 for id in ids],
        "the id or the path is empty or has a line break": [not all(map(PLAIN.fullmatch, pair)) for pair in texts],
        "no task has a label": ~known_TN.any(axis=0),
        "the weight is not a finite number above 0": ~(np.isfinite(weight_N) & (weight_N > 0)),
    }
    faults = [f"{ids[row]!r}: {what}" for what, mask in masks.items() for row in np.flatnonzero(mask).tolist()]
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
