"""The people of a fold in two halves, so that what is estimated on one half is tested on the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskcls import files
from maskcls.labels import Ints


def half_of_people(people: Sequence[str]) -> Ints:
    """Return for each photo (N,) the half, 0 or 1, of its person; the halves differ by one person at most.

    People are taken in the order of their names' digests, so the halves depend on neither the order of the photos nor
    their labels.

    people  the person on each photo.

    >>> half_of_people(["a", "b", "a", "c"]).tolist()
    [0, 1, 0, 0]
    """
    order = sorted(set(people), key=lambda name: files.sha256(name.encode()))
    half = {name: place % 2 for place, name in enumerate(order)}
    return np.array([half[name] for name in people], dtype=np.int64)
