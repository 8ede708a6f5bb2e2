"""Is a person, or a photo, both trained on and held out?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from maskcls.data.photos.descriptors import describe
from maskcls.data.photos.rgb import Pixels
from maskcls.data.photos.same_photos import equal_views
from maskcls.groupnouns import PEOPLE, PHOTOS, Noun, rows_or
from maskcls.labels import Floats, Ints
from maskcls.results.diagnosis.close_photos import TWO_NAMES, ClosePhotos
from maskcls.results.diagnosis.finding import Finding

FEWEST = 40  # photos of people with several photos, below which a share of 20 % can be chance
SHOWN = 3


def descriptors_of(views_nHWC: Pixels) -> Floats:
    """Return the descriptors (n, D) of validation views."""
    return np.stack([describe(view) for view in views_nHWC])


def people_on_both_sides(people_N: Ints, train: Ints, valid: Ints) -> Ints:
    """Return the people (as numbers) with rows to train on and rows to validate."""
    return np.intersect1d(people_N[train], people_N[valid])


def equal_pairs(views_nHWC: Pixels, fold_n: Ints) -> tuple[tuple[int, int], ...]:
    """Return the pairs of rows of two folds whose validation views have equal pixels."""
    pairs = (pair for rows in equal_views(views_nHWC) for pair in combinations(rows, 2))
    return tuple((a, b) for a, b in pairs if fold_n[a] != fold_n[b])


def check_split(
    both: Sequence[str],
    close: ClosePhotos,
    ids: Sequence[str],
    network: str,
    noun: Noun = PEOPLE,
    equal: Sequence[tuple[int, int]] = (),
) -> Finding:
    """Conclude from people on both sides (names) and from close photos whether the split leaks.

    ids    of the photos that `close` is about.
    noun   what the people are called, one and several. If every photo is its own group, nobody said that close photos
           are of different people, or things; COPY was measured on people. So they are only reported.
    equal  pairs of rows of two folds with equal pixels.
    """
    one, many = rows_or(noun)
    values = {"people": float(len(both)), "copies": float(len(close.copies)), "nearer": close.nearer}
    next = (
        "maskcls data check DATA lists repeated photos",
        "remove one of them" if noun == PHOTOS else f"give both names one {one} (the group column), or remove one",
    )
    if both:
        found = f"{len(both)} {many} are both trained on and held out, such as {', '.join(both[:SHOWN])}"
        return Finding("split", "fail", found, "leaking split", next, network, values)
    copies = equal if noun == PHOTOS else close.copies
    if copies:
        found = f"{len(copies)} photos are of two names in two folds: {_shown(copies, ids)}"
        return Finding("split", "fail", found, "leaking split", next, network, values)
    if noun == PHOTOS:
        return _of_single_photos(close, ids, network, values)
    if math.isnan(close.nearer):
        found = f"no copies; every {one} has one photo, so {many} under two names cannot be seen"
        return Finding("split", "pass", found, network=network, values=values)
    found = (
        f"no copies; {close.nearer * 100:.0f} % of {close.compared} photos have their nearest photo under another name"
    )
    if close.nearer > TWO_NAMES and close.compared >= FEWEST:
        return Finding("split", "fail", f"{found}: {many} with two names", "leaking split", next, network, values)
    return Finding("split", "pass", found, network=network, values=values)


def _of_single_photos(close: ClosePhotos, ids: Sequence[str], network: str, values: Mapping[str, float]) -> Finding:
    """Conclude from photos without groups, none of which are equal in two folds."""
    if not close.copies:
        found = "no copies; every photo is its own group, so photos that belong together cannot be seen"
        return Finding("split", "pass", found, network=network, values=values)
    next = (
        "maskcls data check DATA lists near duplicates, by a threshold that is fitted to these photos",
        "where photos belong together, name their group with data.group",
    )
    found = (
        f"{len(close.copies)} pairs of photos in two folds are very similar, none has equal pixels: "
        f"{_shown(close.copies, ids)}; every photo is its own group, so it is not known whether they belong together"
    )
    return Finding("split", "unknown", found, next=next, network=network, values=values)


def _shown(pairs: Sequence[tuple[int, int]], ids: Sequence[str]) -> str:
    return "; ".join(f"{ids[a]} = {ids[b]}" for a, b in pairs[:SHOWN])
