"""The lines of finished epochs: a table that is as wide as the terminal allows, for all networks of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len

from maskcls.groupnouns import Noun

if TYPE_CHECKING:  # the engine brings torch, and commands that train nothing report too
    from maskcls.engine.fit import EpochResult

GAP = "  "
LEAST = {
    "network": 8,
    "loss": 7,
    "macro-F1": 10,
    "time": 6,
    "img/s": 6,
}  # characters, so that a larger number moves no column
ALWAYS = ("network", "epoch", "loss", "macro-F1")
FIRST_LEFT_OUT = ("img/s", "time")  # in a narrow terminal; then the tasks, from the last to the first


@dataclass(frozen=True)
class Column:
    """A column of the table, with its width in characters."""

    name: str
    width: int


def epoch_legend(noun: Noun) -> str:
    """Return what the columns mean. noun: what the groups of the data set are called, one and several."""
    return (
        f"scores are those of the validation {noun[1]}; *: best so far on this fold (train.select); "
        "the epoch that is used is chosen at the end, on the other folds"
    )


def epoch_cells(title: str, epochs: int, result: EpochResult) -> dict[str, str]:
    """Return what is shown of an epoch of `epochs`, by the name of its column."""
    score = result.val["macro_f1"]
    best = result.is_best and not math.isnan(score)
    tasks = {name: _score(value, 3) for name, value in result.val.items() if name not in ("macro_f1", "loss")}
    return {
        "network": title,
        "epoch": f"{result.epoch + 1:>{len(str(epochs))}}/{epochs}",
        "loss": f"{result.train['loss']:.3f}",
        "macro-F1": f"{_score(score, 4)} {'*' if best else ' '}",
        **tasks,
        "time": f"{result.seconds:.0f} s",
        "img/s": f"{result.images_per_second:.0f}",
    }


def epoch_columns(cells: Mapping[str, str], width: int | None) -> list[Column]:
    """Return the columns that fit into `width` characters, None: all; those of ALWAYS are never left out.

    >>> cells = {"network": "fold 0", "epoch": "1/9", "age": "0.511", "time": "9 s"}
    >>> [column.name for column in epoch_columns(cells, 24)]
    ['network', 'epoch', 'age']
    """
    columns = [Column(name, max(LEAST.get(name, 0), len(name), cell_len(text))) for name, text in cells.items()]
    tasks = [name for name in reversed(list(cells)) if name not in (*ALWAYS, *FIRST_LEFT_OUT)]
    for name in (*FIRST_LEFT_OUT, *tasks):
        if width is not None and sum(column.width for column in columns) + len(GAP) * (len(columns) - 1) > width:
            columns = [column for column in columns if column.name != name]
    return columns


def table_line(cells: Mapping[str, str], columns: Sequence[Column]) -> str:
    """Return the cells of these columns in one line: the first to the left, the others to the right."""
    first, *others = columns
    left = cells[first.name] + " " * (first.width - cell_len(cells[first.name]))
    right = [" " * (column.width - cell_len(cells[column.name])) + cells[column.name] for column in others]
    return GAP.join([left, *right]).rstrip()


def header_line(columns: Sequence[Column]) -> str:
    """Return the names of the columns above their cells; macro-F1 has room for the `*` behind it."""
    return table_line({column.name: column.name for column in columns} | {"macro-F1": "macro-F1  "}, columns)


def _score(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
