"""Which other classes of a label would be a fault, and not only the other side of a near border.

U labels, C classes. A person of 29 who looks 31 has no wrong label. Where the value behind a class is known, such as
the age in years, a class counts only if its nearest value is far enough from the given one.
"""

from __future__ import annotations

import numpy as np

from maskcls.labels import UNKNOWN, Bools, Ints, Task

NEAR_YEARS = 5


def other_classes(given_U: Ints, classes: int) -> Bools:
    """Return (U, C), True for every class but the given one (U,), 0..C-1."""
    return np.asarray(np.arange(classes) != given_U[:, None])


def far_classes(value_U: Ints, task: Task, *, near: int = NEAR_YEARS) -> Bools:
    """Return (U, C), True for the classes whose nearest value is at least `near` away from the given one.

    value_U  (U,) whole numbers, such as years; -1 for unknown: such a row is True everywhere.
    near     at least 1, so that the class of a known value itself is never True.

    >>> ages = Task("age", ("<30", "30-59", ">=60"), (30, 60))
    >>> far_classes(np.array([24, 26, 45, 57]), ages, near=5).astype(int).tolist()
    [[0, 1, 1], [0, 0, 1], [1, 0, 1], [1, 0, 0]]
    """
    lowest_C = np.array([-np.inf, *task.bins])
    highest_C = np.array([*(np.array(task.bins) - 1), np.inf])
    value_U1 = np.asarray(value_U, dtype=np.float64)[:, None]
    distance_UC = np.maximum(np.maximum(lowest_C - value_U1, value_U1 - highest_C), 0)
    return np.asarray((distance_UC >= near) | (value_U1 == UNKNOWN))
