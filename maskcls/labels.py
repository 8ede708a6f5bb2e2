"""Tasks, their classes, and the joint classes their combination makes.

N rows, C classes of one task, J = product of all tasks' classes. The first task varies slowest, so the default space
gives the contest's `mask * 6 + gender * 3 + age`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

UNKNOWN = -1


@dataclass(frozen=True)
class Task:
    """One property to classify in every image.

    name     column name; also the key of its logits and targets.
    classes  class names in index order.
    bins     ascending boundaries when the label is a whole number (age in years): class i holds
             bins[i-1] <= value < bins[i], so there is one class more than there are boundaries.
    """

    name: str
    classes: tuple[str, ...]
    bins: tuple[int, ...] = ()

    def band(self, values_N: Ints) -> Ints:
        """Return the class index (N,) of whole numbers (N,); negative values stay `UNKNOWN`.

        >>> Task("age", ("<30", "30-59", ">=60"), (30, 60)).band(np.array([29, 30, 59, 60, -1])).tolist()
        [0, 1, 1, 2, -1]
        """
        index = np.searchsorted(np.asarray(self.bins), values_N, side="right")
        return np.where(values_N < 0, UNKNOWN, index).astype(np.int64)


@dataclass(frozen=True)
class LabelSpace:
    """The tasks in order, and conversion between their classes and the joint classes."""

    tasks: tuple[Task, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Task names in order."""
        return tuple(task.name for task in self.tasks)

    @property
    def shape(self) -> tuple[int, ...]:
        """Classes of each task, (3, 2, 3) by default."""
        return tuple(len(task.classes) for task in self.tasks)

    @property
    def size(self) -> int:
        """Number of joint classes J."""
        return math.prod(self.shape)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of names, class order and bins: equal if and only if the two spaces are equal."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Joint class names in index order, such as `wear/male/<30`."""
        return tuple("/".join(names) for names in itertools.product(*(task.classes for task in self.tasks)))

    def task(self, name: str) -> Task:
        """Return one task; KeyError when there is none of that name."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise KeyError(name)

    def only(self, names: Sequence[str]) -> LabelSpace:
        """Return the space of the named tasks, in this space's order; KeyError for a name it does not have."""
        for name in names:
            self.task(name)
        return LabelSpace(tuple(task for task in self.tasks if task.name in names))

    def encode(self, labels: Mapping[str, Ints]) -> Ints:
        """Join task labels (N,) into joint labels (N,); a row with any unknown label is `UNKNOWN`.

        Raises ValueError for an index outside a task's classes.
        """
        columns = [np.asarray(labels[name], dtype=np.int64) for name in self.names]
        for task, column in zip(self.tasks, columns, strict=True):
            if column.size and (column.min() < UNKNOWN or column.max() >= len(task.classes)):
                raise ValueError(f"{task.name}: labels must lie in -1..{len(task.classes) - 1}")
        known = np.all([column >= 0 for column in columns], axis=0)
        joint = np.ravel_multi_index(tuple(np.maximum(column, 0) for column in columns), self.shape)
        return np.where(known, joint, UNKNOWN).astype(np.int64)

    def decode(self, joint_N: Ints) -> dict[str, Ints]:
        """Split joint labels (N,) into task labels; `UNKNOWN` stays unknown in every task.

        Raises ValueError for an index outside the joint classes.
        """
        joint_N = np.asarray(joint_N, dtype=np.int64)
        if joint_N.size and (joint_N.min() < UNKNOWN or joint_N.max() >= self.size):
            raise ValueError(f"joint labels must lie in -1..{self.size - 1}")
        parts = np.unravel_index(np.maximum(joint_N, 0), self.shape)
        return {
            name: np.where(joint_N < 0, UNKNOWN, part).astype(np.int64)
            for name, part in zip(self.names, parts, strict=True)
        }

    def compose(self, prob: Mapping[str, Floats], given: Mapping[str, str] | None = None) -> Floats:
        """Multiply per-task probabilities {task: (N, C)} into joint probabilities (N, J), as if independent.

        given  {task: another}: that task's probabilities depend on the other's class G, and are (N, G, C).
        """
        factors = [self._factor(name, prob[name], (given or {}).get(name)) for name in self.names]
        joint = factors[0]
        for factor in factors[1:]:
            joint = joint * factor
        rows = joint.reshape(len(joint), -1)
        total: NDArray[np.float64] = rows.sum(axis=1, keepdims=True)
        return (rows / total).astype(np.float32)

    def _factor(self, name: str, prob: Floats, given: str | None) -> NDArray[np.float64]:
        """Return one task's probabilities with one axis per task; an axis it does not depend on has length 1."""
        axis = self.names.index(name)
        wide: NDArray[np.float64] = np.asarray(prob, dtype=np.float64)
        shape = [1] * len(self.tasks)
        shape[axis] = self.shape[axis]
        if given is not None:
            other = self.names.index(given)
            shape[other] = self.shape[other]
            wide = wide if other < axis else wide.swapaxes(1, 2)
        return wide.reshape(len(wide), *shape)

    def marginals(self, prob_NJ: Floats) -> dict[str, Floats]:
        """Sum joint probabilities (N, J) into per-task probabilities {task: (N, C)}."""
        grid = np.asarray(prob_NJ, dtype=np.float64).reshape(-1, *self.shape)
        axes = range(1, 1 + len(self.tasks))
        return {
            name: grid.sum(axis=tuple(a for a in axes if a != axis)).astype(np.float32)
            for axis, name in zip(axes, self.names, strict=True)
        }

    def first_difference(self, other: LabelSpace) -> tuple[str, str]:
        """Return the first task in which two spaces differ, one text per space; "no task" where a space has fewer.

        >>> LabelSpace((Task("t", ("a", "b")),)).first_difference(LabelSpace(()))[1]
        'no task'
        """
        pairs = itertools.zip_longest(map(str, self.to_json()), map(str, other.to_json()), fillvalue="no task")
        return next(((mine, theirs) for mine, theirs in pairs if mine != theirs), ("the same", "the same"))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the tasks as plain data, the content of labels.json."""
        return [{"name": t.name, "classes": list(t.classes), "bins": list(t.bins)} for t in self.tasks]

    @staticmethod
    def from_json(data: Sequence[Mapping[str, Any]]) -> LabelSpace:
        """Rebuild a space from `to_json` data."""
        return LabelSpace(tuple(Task(d["name"], tuple(d["classes"]), tuple(d["bins"])) for d in data))


def constant_tasks(
    truth: Mapping[str, Ints], person_N: Sequence[object] | NDArray[Any], space: LabelSpace
) -> tuple[str, ...]:
    """Return the tasks whose known label is the same on all photos of every person; also those without a known label.

    truth     {task: (N,) int}, every task; -1 = unknown.
    person_N  (N,) the person on each row.

    >>> truth = {"mask": np.array([0, 1]), "gender": np.array([0, -1]), "age": np.array([-1, -1])}
    >>> constant_tasks(truth, ["ann", "ann"], CONTEST)
    ('gender', 'age')
    """
    who_N = np.unique(np.asarray(person_N), return_inverse=True)[1]
    return tuple(task.name for task in space.tasks if _is_constant(truth[task.name], who_N, len(task.classes)))


def _is_constant(label_N: Ints, who_N: Ints, classes: int) -> bool:
    # A table of flags: sorting or hashing the pairs takes seconds for 200,000 people.
    known_N = label_N != UNKNOWN
    seen_PC = np.zeros((int(who_N.max(initial=-1)) + 1, classes), dtype=np.bool_)
    seen_PC[who_N[known_N], label_N[known_N]] = True
    return bool((seen_PC.sum(axis=1) <= 1).all())


CONTEST = LabelSpace(
    (
        Task("mask", ("wear", "incorrect", "normal")),
        Task("gender", ("male", "female")),
        Task("age", ("<30", "30-59", ">=60"), (30, 60)),
    )
)
