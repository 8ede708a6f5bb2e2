"""Is a person, or a photo, both trained on and held out?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from maskcls.data.photos.descriptors import describe
from maskcls.data.photos.rgb import Pixels
from maskcls.groupnouns import PEOPLE, Noun, rows_or
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


def check_split(
    both: Sequence[str], close: ClosePhotos, ids: Sequence[str], network: str, noun: Noun = PEOPLE
) -> Finding:
    """Conclude from people on both sides (names) and from close photos whether the split leaks.

    ids   of the photos that `close` is about.
    noun  what the people are called, one and several.
    """
    one, many = rows_or(noun)
    values = {"people": float(len(both)), "copies": float(len(close.copies)), "nearer": close.nearer}
    next = (
        "maskcls data check DATA lists repeated photos",
        f"give both names one {one} (the group column), or remove one",
    )
    if both:
        found = f"{len(both)} {many} are both trained on and held out, such as {', '.join(both[:SHOWN])}"
        return Finding("split", "fail", found, "leaking split", next, network, values)
    if close.copies:
        shown = "; ".join(f"{ids[a]} = {ids[b]}" for a, b in close.copies[:SHOWN])
        found = f"{len(close.copies)} photos are of two names in two folds: {shown}"
        return Finding("split", "fail", found, "leaking split", next, network, values)
    if math.isnan(close.nearer):
        found = f"no copies; every {one} has one photo, so {many} under two names cannot be seen"
        return Finding("split", "pass", found, network=network, values=values)
    found = (
        f"no copies; {close.nearer * 100:.0f} % of {close.compared} photos have their nearest photo under another name"
    )
    if close.nearer > TWO_NAMES and close.compared >= FEWEST:
        return Finding("split", "fail", f"{found}: {many} with two names", "leaking split", next, network, values)
    return Finding("split", "pass", found, network=network, values=values)
