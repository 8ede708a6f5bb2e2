"""The columns and the kind of a file of pseudo labels.

The columns are set, id, path, weight, one per task with its class name (empty = unknown), and p0, p1, ... for soft
targets."""

from __future__ import annotations

from maskcls.errors import DataError
from maskcls.labels import LabelSpace
from maskcls.results.csv_with_origin import TableKind

PSEUDO_LABELS = TableKind(
    "maskcls pseudo-labels", "the pseudo labels", fix="restore both files, or make the pseudo labels again"
)
LEADING = ("set", "id", "path", "weight")


def header_of(space: LabelSpace, *, soft: bool) -> list[str]:
    """Return the names of the columns; DataError when a task has the name of another column."""
    names = [*LEADING, *space.names, *(f"p{j}" for j in range(space.size) if soft)]
    if len(set(names)) != len(names):
        raise DataError("a column name occurs twice", got=", ".join(names), fix="rename the task")
    return names
