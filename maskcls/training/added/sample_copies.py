"""Samples that are photos of people whom their fold validates, found by their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from maskcls.data.rows.manifest import REAL
from maskcls.rundir import REFIT
from maskcls.training.added.added_source import SYNTH, AddedSource


def without_samples(groups: Sequence[Sequence[int]], source_N: Sequence[str]) -> list[tuple[int, ...]]:
    """Return groups of rows with the same photo without samples, which may be copies; groups of one row are left out.

    source_N  (N,) where each row is from.

    >>> without_samples([(0, 1, 2), (3, 4)], ["real", "synth", "real", "real", "synth"])
    [(0, 2)]
    """
    kept = [tuple(row for row in rows if source_N[row] != SYNTH) for rows in groups]
    return [rows for rows in kept if len(rows) > 1]


def validated_copies(
    added: Sequence[AddedSource],
    ids: Sequence[str],
    source_N: Sequence[str],
    fold_N: NDArray[np.int8],
    groups: Sequence[Sequence[int]],
) -> Iterator[str]:
    """Yield a line for each sample that has the pixels of a photo that its fold validates.

    ids, source_N, fold_N  (N,) of the rows: id, where it is from, and the fold that validates it.
    groups  rows with the same photo.
    """
    set_of = {
        one: k
        for source in added
        if source.source == SYNTH
        for k, rows in source.sets.items()
        if k != REFIT
        for one in rows.ids.tolist()
    }
    for rows in groups:
        real = [row for row in rows if source_N[row] == REAL]
        for one in (ids[row] for row in rows if source_N[row] == SYNTH):
            for row in real:
                if one in set_of and int(fold_N[row]) == set_of[one]:
                    yield f"{one!r} is the photo {ids[row]!r}, which fold {set_of[one]} validates"
