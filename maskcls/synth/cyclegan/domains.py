"""The two sets of photos that are translated into each other: of one class, and of another one of the same task.

N rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from maskcls.labels import Bools, Ints, LabelSpace
from maskcls.synth.loop.synth_rows import SynthRows, of_classes

Classes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Domains:
    """Which photos are translated into which class.

    source  {task: classes} that photos are translated from.
    target  {task: (class,)} that they are translated into; the same tasks.
    space   all tasks.
    """

    source: Classes
    target: Classes
    space: LabelSpace

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the tasks whose labels a translation does not change."""
        return tuple(name for name in self.space.names if name not in self.target)

    def rows(self, labels: Mapping[str, Ints]) -> tuple[Bools, Bools]:
        """Return which rows (N,) are of the source and which of the target: in every task that is translated."""
        return of_classes(labels, self.source, self.space), of_classes(labels, self.target, self.space)

    def kept_key(self, labels: Mapping[str, Ints]) -> Ints:
        """Return a number (N,) that is equal for rows with equal labels in all tasks that are kept."""
        if not self.kept:
            return np.zeros(len(next(iter(labels.values()))), dtype=np.int64)
        return self.space.only(self.kept).encode({name: labels[name] for name in self.kept})

    def translated(self, labels: Mapping[str, Ints]) -> dict[str, Ints]:
        """Return the labels of rows (N,) after their translation: the class replaced, all others as they were."""
        replaced = {name: self.space.task(name).classes.index(one) for name, (one,) in self.target.items()}
        return {
            name: np.full_like(label_N, replaced[name]) if name in replaced else label_N.copy()
            for name, label_N in labels.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return the domains as plain data."""
        plain = {key: {name: list(some) for name, some in getattr(self, key).items()} for key in ("source", "target")}
        return {**plain, "labels": self.space.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild domains from `to_json` data."""
        source, target = ({name: tuple(some) for name, some in data[key].items()} for key in ("source", "target"))
        return cls(source, target, LabelSpace.from_json(data["labels"]))


def domains_of(from_classes: Classes, rows: SynthRows) -> Domains:
    """Return which photos are translated into which class.

    from_classes  as configured; empty: `default_source` of these rows.
    """
    source = from_classes or default_source(rows.labels, rows.person_N, rows.classes, rows.space)
    return Domains(source, rows.classes, rows.space)


def default_source(
    labels: Mapping[str, Ints], person_N: Ints, target: Classes, space: LabelSpace
) -> dict[str, tuple[str, ...]]:
    """Return the class that photos are translated from, in each task of the target.

    In a task with bins it is the neighbour that more people have, because less has to be changed than from a class
    farther away; else the other class that most people have. The first one where several have as many.

    labels    {task: (N,)} class index; -1 = unknown.
    person_N  (N,) the person on each row.
    target    {task: (class,)}.

    >>> from maskcls.labels import Task
    >>> age = LabelSpace((Task("age", ("<30", "30-59", ">=60"), (30, 60)),))
    >>> default_source({"age": np.array([0, 0, 1, 2])}, np.array([0, 1, 2, 3]), {"age": (">=60",)}, age)
    {'age': ('30-59',)}
    """
    chosen: dict[str, tuple[str, ...]] = {}
    for name, (one,) in target.items():
        task = space.task(name)
        place = task.classes.index(one)
        near = [place - 1, place + 1] if task.bins else range(len(task.classes))
        others = [index for index in near if index != place and 0 <= index < len(task.classes)]
        people = {index: len(np.unique(person_N[labels[name] == index])) for index in others}
        chosen[name] = (task.classes[max(others, key=lambda index: people[index])],)
    return chosen
