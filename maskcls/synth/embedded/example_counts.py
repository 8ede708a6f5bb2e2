"""How many examples of each joint class are made. N photos, J joint classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from maskcls.labels import Ints, LabelSpace
from maskcls.synth.loop.synth_rows import of_classes


def example_counts(
    label_N: Ints, classes: Mapping[str, tuple[str, ...]], space: LabelSpace, per_class: Literal["auto"] | int
) -> dict[int, int]:
    """Return {joint class: number of examples} for the joint classes of `classes` that have a photo.

    label_N    int64, joint class of each training photo; -1 = unknown, not counted.
    classes    {task: names}: a joint class is wanted if, in every task named, it has one of these classes.
    per_class  the number; auto: as many as the most frequent joint class that differs in the named tasks alone has
               photos more than this one, but no more than this one has photos.

    >>> from maskcls.labels import Task
    >>> pair = LabelSpace((Task("hat", ("no", "yes")), Task("age", ("young", "old"))))
    >>> label_N = np.repeat([0, 1, 2, 3], [7, 5, 8, 2])  # no/young, no/old, yes/young, yes/old
    >>> example_counts(label_N, {"age": ("old",)}, pair, "auto"), example_counts(label_N, {"age": ("old",)}, pair, 9)
    ({1: 2, 3: 2}, {1: 9, 3: 9})
    """
    count_J = np.bincount(label_N[label_N >= 0], minlength=space.size)
    every = space.decode(np.arange(space.size, dtype=np.int64))
    wanted = np.flatnonzero(of_classes(every, classes, space) & (count_J > 0)).tolist()
    if per_class != "auto":
        return dict.fromkeys(wanted, per_class)
    axes = tuple(axis for axis, name in enumerate(space.names) if name in classes)
    most_J = np.broadcast_to(count_J.reshape(space.shape).max(axis=axes, keepdims=True), space.shape).reshape(-1)
    return {label: int(min(most_J[label] - count_J[label], count_J[label])) for label in wanted}
