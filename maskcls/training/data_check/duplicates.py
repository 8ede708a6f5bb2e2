"""Near duplicates of a data set, with progress. N rows of a manifest, D numbers of an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from maskcls.data.duplicates.candidates import embedding_candidates, hash_candidates
from maskcls.data.duplicates.search import (
    MADE_FROM,
    UNKNOWN_PERSON,
    NearDuplicates,
    find_near_duplicates,
    score_copies,
    score_pairs,
)
from maskcls.data.photos.images import read_image
from maskcls.data.photos.inspection import Inspection
from maskcls.data.photos.quality import FLAT_SD, by_name
from maskcls.data.photos.same_photos import Groups
from maskcls.labels import Floats, Ints
from maskcls.show.terminal.progress import Reporter


def near_duplicates(
    root: Path,
    frame: pd.DataFrame,
    seen: Inspection,
    embedding_ND: Floats | None,
    *,
    seed: int,
    threads: int,
    report: Reporter,
) -> NearDuplicates:
    """Return the near duplicates among the rows of a manifest; blank photos and those that cannot be read have none.

    embedding_ND  (N, D) float32, whose nearest neighbours are candidates too; None: those by hash alone.
    seed          of the photos that copies are made of, and of the copies.
    """
    contrast_N = by_name(seen.measure_NM)["contrast"]
    row_n = np.flatnonzero(seen.readable_N & (contrast_N >= FLAT_SD))
    person_N = with_equal_photos(person_numbers(frame), seen.equal_pixels)
    person_n = person_N[row_n]
    own_n = _own_numbers(person_n)
    hash_n, thumbnail_n = seen.hash_NWB[row_n], seen.thumbnail_NSS[row_n]
    candidates = hash_candidates(
        hash_n, own_n, on_progress=lambda done: report.images("comparing photos", done, len(row_n))
    )
    if embedding_ND is not None:
        candidates = candidates.plus(embedding_candidates(embedding_ND[row_n], own_n))
    count = len(candidates.whole_P)
    pairs = score_pairs(
        candidates, thumbnail_n, threads=threads, on_progress=lambda done: report.images("comparing pairs", done, count)
    )
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(row_n), min(MADE_FROM, len(row_n)), replace=False).tolist()
    paths = frame["path"].tolist()
    with report.busy("making copies"):
        sample = ((place, read_image(root / paths[int(row_n[place])])) for place in chosen)
        copies = score_copies(list(sample), thumbnail_n, hash_n, own_n, seed=seed)
    place_of = {int(row): place for place, row in enumerate(row_n.tolist())}
    found = find_near_duplicates(pairs, person_n, copies, _equal_pairs(seen.equal_pixels, place_of))
    rows: list[int] = row_n.tolist()
    moved = tuple(replace(pair, first=rows[pair.first], second=rows[pair.second]) for pair in found.pairs)
    return replace(found, pairs=moved)


def person_numbers(frame: pd.DataFrame) -> Ints:
    """Return a number (N,) int64 per person, UNKNOWN_PERSON where the manifest has no name."""
    numbers = pd.factorize(frame["person"])[0].astype(np.int64)
    return np.where(frame["person"].to_numpy() == "", UNKNOWN_PERSON, numbers)


def with_equal_photos(person_N: Ints, groups: Groups) -> Ints:
    """Return the numbers; an unknown one whose photo is equal to one of a known person gets that person's."""
    person_N = person_N.copy()
    for rows in groups:
        known = [int(person_N[row]) for row in rows if person_N[row] != UNKNOWN_PERSON]
        for row in rows:
            if known and person_N[row] == UNKNOWN_PERSON:
                person_N[row] = known[0]
    return person_N


def _own_numbers(person_N: Ints) -> Ints:
    """Return the numbers with a new one for each row of an unknown person."""
    fresh = int(person_N.max(initial=0)) + 1 + np.arange(len(person_N))
    return np.where(person_N == UNKNOWN_PERSON, fresh, person_N)


def _equal_pairs(groups: Groups, place_of: dict[int, int]) -> set[tuple[int, int]]:
    places: Sequence[Sequence[int]] = [[place_of[row] for row in rows if row in place_of] for rows in groups]
    return {(a, b) for group in places for i, a in enumerate(group) for b in group[i + 1 :]}
