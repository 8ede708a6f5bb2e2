"""Predicted photos as rows of a table: the class of every task, and on request the probability of every class.

N rows, J joint classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from maskcls.errors import DataError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.submissions.answers import ANSWER

Kind = Literal["text", "whole", "share"]  # of a column's cells: str, int, float32
Cells = Sequence[str | int | np.float32 | None]

ERROR = "error"
CERTAINTY = "_probability"  # after a task's name: the column with the probability of the decided class


@dataclass(frozen=True, eq=False)
class PhotoRows:
    """Some predicted photos.

    names    N texts: ids or paths.
    prob_NJ  joint probabilities (N, J) float32; a row of a photo that cannot be read is not used.
    label_N  joint class (N,) int64, -1 for a photo that cannot be read.
    errors   N texts: why a photo cannot be read; "" for the others.
    """

    names: Sequence[str]
    prob_NJ: Floats
    label_N: Ints
    errors: Sequence[str]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class TableForm:
    """The columns of a table of predicted photos.

    id_name        name of the first column; the second is `ans`, the joint class.
    task_columns   whether a column per task follows, with the name of the class.
    probabilities  whether the probability of each of these classes follows it, as `TASK_probability`, and at the end of
                   the row a column `TASK/CLASS` for every class.
    errors         whether the last column says why a photo could not be read.
    """

    space: LabelSpace
    id_name: str = "path"
    task_columns: bool = True
    probabilities: bool = False
    errors: bool = False

    @property
    def kinds(self) -> dict[str, Kind]:
        """The columns in order; DataError if two have the same name."""
        named: list[tuple[str, Kind]] = [(self.id_name, "text"), (ANSWER, "whole")]
        for task in self.space.tasks:
            named += [(task.name, "text")] if self.task_columns else []
            named += [(f"{task.name}{CERTAINTY}", "share")] if self.probabilities else []
        if self.probabilities:
            named += [(name, "share") for name in class_columns(self.space)]
        named += [(ERROR, "text")] if self.errors else []
        if len(dict(named)) != len(named):
            got = ", ".join(name for name, _ in named)
            raise DataError("a column name occurs twice", got=got, fix="rename the task")
        return dict(named)

    def cells(self, rows: PhotoRows) -> dict[str, Cells]:
        """Return the cells of each column, N each; None where a photo could not be read."""
        known_N = rows.label_N != UNKNOWN
        columns: dict[str, Cells] = {self.id_name: rows.names, ANSWER: _known(rows.label_N.tolist(), known_N.tolist())}
        decoded = self.space.decode(rows.label_N)
        shares = self.space.marginals(rows.prob_NJ) if self.probabilities else {}
        for task in self.space.tasks:
            if self.task_columns:
                columns[task.name] = [task.classes[c] if c != UNKNOWN else None for c in decoded[task.name].tolist()]
            for c, name in enumerate(task.classes if self.probabilities else ()):
                columns[f"{task.name}/{name}"] = _known(list(shares[task.name][:, c]), known_N.tolist())
            if self.probabilities:
                own_N = shares[task.name][np.arange(len(rows)), np.maximum(decoded[task.name], 0)]
                columns[f"{task.name}{CERTAINTY}"] = _known(list(own_N), known_N.tolist())
        if self.errors:
            columns[ERROR] = [error or None for error in rows.errors]
        return {name: columns[name] for name in self.kinds}


def class_columns(space: LabelSpace) -> list[str]:
    """Return the columns of probabilities, `TASK/CLASS` for every class.

    >>> from maskcls.labels import CONTEST
    >>> class_columns(CONTEST.only(["gender"]))
    ['gender/male', 'gender/female']
    """
    return [f"{task.name}/{name}" for task in space.tasks for name in task.classes]


def columns_beside(space: LabelSpace) -> set[str]:
    """Return the columns that may be beside those of `class_columns`: labels, their probabilities, errors."""
    return {ANSWER, ERROR, *space.names, *(f"{name}{CERTAINTY}" for name in space.names)}


def shortest(share: np.float32) -> float:
    """Return the float with the fewest digits that reads back as this float32.

    >>> shortest(np.float32(0.1)), float(np.float32(0.1))
    (0.1, 0.10000000149011612)
    """
    return float(str(share))


def _known(cells: Sequence[int | np.float32], known: Sequence[bool]) -> list[int | np.float32 | None]:
    return [cell if there else None for cell, there in zip(cells, known, strict=True)]
