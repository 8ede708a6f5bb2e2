"""The short form of an evaluation: at most 24 lines of 80 columns, whatever the tasks are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from maskcls.errors import visible
from maskcls.results.scores.evaluation import Evaluation
from maskcls.results.scores.metrics import Score
from maskcls.results.scores.slices import worst
from maskcls.show.terminal.text import number, plain_table, plural

if TYPE_CHECKING:
    from rich.table import Table

LINES = 24
NAME = 24  # characters of a name, before it is shortened
TASK_ROWS = 11  # of the table; with its heading, the lines around it and three below, 24 lines in all
FOLDS = 5  # that are listed
MORE = "more: --full, or --section scores, confusion, slices or people"


def folds_line(scores: Sequence[tuple[str, float]]) -> str:
    """Write the scores of the folds, or their range where there are many.

    >>> folds_line([("0", 0.5), ("1", 0.25)])
    'per fold  0: 0.5000  1: 0.2500'
    >>> folds_line([(str(k), k / 10) for k in range(10)])
    'per fold  0.0000 to 0.9000 (10 folds)'
    """
    if len(scores) <= FOLDS:
        return "per fold  " + "  ".join(f"{k}: {number(value)}" for k, value in scores)
    values = [value for _, value in scores if not math.isnan(value)]
    return f"per fold  {number(min(values, default=None))} to {number(max(values, default=None))} ({len(scores)} folds)"


def task_rows(found: Evaluation) -> tuple[Table, int]:
    """Return a table of the tasks and how many are left out; with their classes if there is room."""
    tasks = found.scores.tasks
    with_classes = len(tasks) + sum(len(one.classes) for one in tasks.values()) <= TASK_ROWS
    table = plain_table("task", "F1", "precision", "recall", "accuracy", "images")
    shown = list(tasks.items())[:TASK_ROWS]
    for name, one in shown:
        mean = [number(one.macro_f1), "", "", number(one.accuracy), f"{one.rows:,}"]
        table.add_row(_name(name), *mean, style="bold")
        if with_classes:
            _add_classes(table, one)
    return table, len(tasks) - len(shown)


def lines_below(found: Evaluation, left_out: int) -> list[str]:
    """Return the class that is right least often, the most frequent mistake, if any is wrong, and where more is."""
    lines = []
    for one in (lowest for lowest in worst(found.by_joint) if lowest.accuracy < 1):
        lines.append(f"lowest: {_name(one.name, 44)}  {number(one.accuracy)} of {one.rows:,} images right")
    for mistake in found.mistakes[:1]:
        pair = f"{_name(mistake.true, NAME)} taken for {_name(mistake.predicted, NAME)}"
        lines.append(f"most frequent mistake: {pair} ({plural(mistake.rows, 'image')})")
    return [*lines, f"{plural(left_out, 'task')} more; {MORE}" if left_out else MORE]


def _add_classes(table: Table, one: Score) -> None:
    for each in one.classes:
        f1 = number(each.f1 if each.predicted or each.support else math.nan)
        precision = number(each.precision if each.predicted else math.nan)
        recall = number(each.recall if each.support else math.nan)
        table.add_row(f"  {_name(each.name, NAME - 2)}", f1, precision, recall, "", f"{each.support:,}")


def _name(name: str, width: int = NAME) -> str:
    from maskcls.show.terminal.table_width import shortened

    return shortened(visible(name), width)
