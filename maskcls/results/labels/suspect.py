"""One suspected fault of a label."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["person", "photo", "exchange", "contradiction"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Suspect:
    """A label that may be wrong, and the one proposed instead.

    kind       person: the label of all photos of the person. photo: of one photo. exchange: two photos have each
               other's label. contradiction: photos of a person differ in a task that has one label per person.
    person     number of the person.
    rows       the photos concerned, by number: all of the person, or those of which the label may be wrong.
    given      the given class of each of them, -1 for unknown.
    better     the proposed class of each of them.
    suspicion  probability that the label is wrong, in [0, 1].
    agreed     whether confident learning finds it too; always for a contradiction.
    against    how many of the photos the networks give another class than the given one.
    """

    kind: Kind
    task: str
    person: int
    rows: tuple[int, ...]
    given: tuple[int, ...]
    better: tuple[int, ...]
    suspicion: float
    agreed: bool
    against: int


def ranked(suspects: Iterable[Suspect]) -> list[Suspect]:
    """Sort by suspicion, the highest first; equal ones by person, task and photos."""
    return sorted(suspects, key=lambda one: (-one.suspicion, one.person, one.task, one.rows))


def by_person(suspects: Iterable[Suspect]) -> list[Suspect]:
    """Return only the first suspect of each person, in the same order."""
    first: dict[int, Suspect] = {}
    for one in suspects:
        first.setdefault(one.person, one)
    return list(first.values())
