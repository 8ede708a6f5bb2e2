"""Suspects with names: what a person decides about, and the corrections that carry out each decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskcls.data.layouts.fixes import FixRow, Relabelling
from maskcls.labels import UNKNOWN, Ints, Task
from maskcls.results.labels.suspect import Kind, Suspect
from maskcls.runs.labels.rows import LabelRows


@dataclass(frozen=True)
class Correction:
    """A correction that can be chosen: its name, and its rows in a file of corrections."""

    name: str
    rows: tuple[FixRow, ...]


@dataclass(frozen=True)
class Case:
    """A suspect with names.

    kind, suspicion, agreed, against  as of the suspect.
    person, task
    ids       of the photos that show it.
    given     name of the given class; of several, all of them.
    better    name of the proposed class, or what is exchanged.
    value     the given number of a task with bins, such as "67"; "" otherwise.
    choices   the corrections to choose from; empty where the layout cannot express one.
    proposed  number of the proposed choice; -1 without choices.
    """

    kind: Kind
    person: str
    task: str
    ids: tuple[str, ...]
    given: str
    better: str
    value: str
    suspicion: float
    agreed: bool
    against: int
    choices: tuple[Correction, ...]
    proposed: int

    @property
    def fix(self) -> tuple[FixRow, ...]:
        """The rows of the proposed correction; none where the layout cannot express it."""
        return self.choices[self.proposed].rows if self.proposed >= 0 else ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        names = ("kind", "person", "task", "given", "better", "value", "suspicion", "agreed", "against")
        plain = {name: getattr(self, name) for name in names}
        return {**plain, "photos": list(self.ids), "fix": [list(row) for row in self.fix]}


def cases_of(suspects: Sequence[Suspect], rows: LabelRows, people: Sequence[str]) -> list[Case]:
    """Give suspects the names of people, photos and classes; people: the name of each person's number."""
    typical = {task.name: typical_values(task, rows) for task in rows.space.tasks if task.bins}
    return [_case(one, rows, people[one.person], typical.get(one.task)) for one in suspects]


def typical_values(task: Task, rows: LabelRows) -> list[str]:
    """Return, per class, the median of the known values, such as years; the nearest to the bins where none is known."""
    given_N, value_N = rows.given[task.name], rows.values[task.name]
    edges = [task.bins[0] - 1, *task.bins]
    return [_median(value_N[(given_N == c) & (value_N != UNKNOWN)], edges[c]) for c in range(len(task.classes))]


def _median(value_N: Ints, otherwise: int) -> str:
    return str(int(np.sort(value_N)[len(value_N) // 2]) if len(value_N) else otherwise)


def _case(one: Suspect, rows: LabelRows, person: str, typical: Sequence[str] | None) -> Case:
    task = rows.space.task(one.task)
    ids = tuple(rows.ids[row] for row in one.rows)
    given = " and ".join(task.classes[label] for label in dict.fromkeys(one.given))
    values = sorted(set(rows.values[one.task][list(one.rows)].tolist()) - {UNKNOWN}) if task.bins else []
    if one.kind == "exchange":
        cells = tuple(_cell(task, typical, label) for label in one.better)
        choices = _expressible({f"exchange {given}": cells}, one, rows, person, ids)
        better, proposed = f"exchange {given}", 0 if choices else -1
    else:
        possible = [c for c in range(len(task.classes)) if set(one.given) != {c}]
        cells_by_name = {task.classes[c]: (_cell(task, typical, c),) * len(ids) for c in possible}
        choices = _expressible(cells_by_name, one, rows, person, ids)
        better, proposed = task.classes[one.better[0]], possible.index(one.better[0]) if choices else -1
    return Case(
        kind=one.kind,
        person=person,
        task=one.task,
        ids=ids,
        given=given,
        better=better,
        value=", ".join(map(str, values)),
        suspicion=one.suspicion,
        agreed=one.agreed,
        against=one.against,
        choices=choices,
        proposed=proposed,
    )


def _cell(task: Task, typical: Sequence[str] | None, label: int) -> str:
    return task.classes[label] if typical is None else typical[label]


def _expressible(
    cells: Mapping[str, tuple[str, ...]], one: Suspect, rows: LabelRows, person: str, ids: tuple[str, ...]
) -> tuple[Correction, ...]:
    """Return the choices of these names and cells, or none where the layout has no correction for them."""
    exchange = one.kind == "exchange"
    made = {
        name: tuple(rows.layout.fix_rows(Relabelling(person, one.task, ids, values, exchange)))
        for name, values in cells.items()
    }
    return tuple(Correction(name, fix) for name, fix in made.items()) if all(made.values()) else ()
