"""The columns and the kind of a table of samples.

The columns are set, id, path, weight, one per task with its class name, and parents: the ids of the training photos a
sample was made from, joined by `;`, nothing for a sample made from random numbers."""

from __future__ import annotations

import re

from maskcls.errors import DataError
from maskcls.labels import LabelSpace
from maskcls.results.csv_with_origin import TableKind

SAMPLES = TableKind(
    "maskcls synth-samples",
    "the samples",
    fix="restore both files, or make the samples again with maskcls synth sample",
)
BETWEEN = ";"  # parents of one sample
ID = re.compile(r"synth/(all|0|[1-9][0-9]?)/(0|[1-9][0-9]*)")


def samples_header(space: LabelSpace) -> list[str]:
    """Return the names of the columns; DataError when a task has the name of another column."""
    names = ["set", "id", "path", "weight", *space.names, "parents"]
    if len(set(names)) != len(names):
        raise DataError("a column name occurs twice", got=", ".join(names), fix="rename the task")
    return names


def sample_id(set_name: str, number: int) -> str:
    """Return the id of a sample.

    >>> sample_id("2", 7)
    'synth/2/7'
    """
    return f"synth/{set_name}/{number}"
