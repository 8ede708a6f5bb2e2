"""One set of rows that are only trained on: what a fold's network learns from beside the data set's own rows.

N rows, J joint classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats, Ints
from maskcls.results.predictions import Texts
from maskcls.results.scores.metrics import Doubles

PLAIN = re.compile(r"[^\0\r\n\ud800-\udfff]+")


@dataclass(frozen=True, eq=False)
class AddedSet:
    """Photos with the labels to train on.

    ids     (N,) text, unique.
    paths   (N,) text, relative to the folder of the photos.
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


def faulty_rows(rows: AddedSet, unlabelled: tuple[str, NDArray[np.bool_]]) -> list[str]:
    """Return what is wrong with ids, paths, labels and weights, a line per row and fault.

    unlabelled  what is wrong with the labels of which rows (N,).

    Raises ValueError for columns of different lengths.
    """
    ids = rows.ids.tolist()
    shapes = {rows.ids.shape, rows.paths.shape, rows.weight.shape, *(label_N.shape for label_N in rows.labels.values())}
    if shapes != {(len(ids),)}:
        raise ValueError(f"the columns of a set do not fit together: {shapes}")
    times = Counter(ids)
    texts = list(zip(ids, rows.paths.tolist(), strict=True))
    with np.errstate(over="ignore"):
        weight_N = rows.weight.astype(np.float32)  # what training counts with
    what, unlabelled_N = unlabelled
    masks = {
        "the id occurs twice": np.array([times[id] > 1 for id in ids], dtype=bool),
        "the id or the path is empty or has a line break": np.array(
            [not all(map(PLAIN.fullmatch, pair)) for pair in texts], dtype=bool
        ),
        what: unlabelled_N,
        "the weight is not a finite number above 0": ~(np.isfinite(weight_N) & (weight_N > 0)),
    }
    return [f"{ids[row]!r}: {fault}" for fault, mask in masks.items() for row in np.flatnonzero(mask).tolist()]
