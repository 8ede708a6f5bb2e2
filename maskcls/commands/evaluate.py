"""`maskcls evaluate`: score a submission against the true answers, and show the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskcls.errors import DataError, visible
from maskcls.labels import CONTEST, UNKNOWN, LabelSpace
from maskcls.results.answers import read_answers
from maskcls.results.metrics import ClassScore, Score, Scores, score
from maskcls.results.predictions import check_same_ids
from maskcls.results.submission import sidecar_space

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


def evaluate(submission: Path, answers: Path, space: LabelSpace | None = None) -> Scores:
    """Join a submission and the true answers by id and score them.

    space  the labels' meaning; None takes it from the submission's sidecar, or the contest's when there is none.

    Answers may be unknown in part: a task is scored where it is known, the joint classes where all tasks are.
    Raises DataError when a file is wrong, the ids differ, or nothing can be scored.
    """
    space = space or sidecar_space(submission) or CONTEST
    pred_ids, pred = read_answers(submission, space)
    true_ids, truth = read_answers(answers, space)
    check_same_ids(pred_ids, true_ids, names=(str(submission), str(answers)))
    joint_N = space.encode(pred)
    _check_complete(submission, pred_ids, joint_N == UNKNOWN)
    if all((truth[name] == UNKNOWN).all() for name in space.names):
        raise DataError("no answer is known", where=str(answers), fix="fill in the true labels")
    row_of = {name: row for row, name in enumerate(pred_ids)}
    order_N = np.array([row_of[name] for name in true_ids], dtype=np.int64)
    return score(joint_N[order_N], truth, space)


def print_scores(scores: Scores, json: bool = False) -> None:
    """Print to stdout: tables for a person, or with `json` one JSON object, NaN as null."""
    if json:
        print(dumps(scores.to_json(), allow_nan=False))
        return
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(render(scores))


def render(scores: Scores) -> RenderableType:
    """Return the headline, a table of the tasks with their classes, and a table of the joint classes."""
    from rich.console import Group

    return Group(_headline(scores), "", _task_table(scores), "", _joint_table(scores.joint))


def _check_complete(path: Path, ids: Sequence[str], unknown_N: np.typing.NDArray[np.bool_]) -> None:
    if unknown_N.any():
        raise DataError(
            "the submission leaves labels empty",
            where=str(path),
            expected="a label of every task on every row",
            offenders=[repr(ids[row]) for row in np.flatnonzero(unknown_N).tolist()],
        )


def _headline(scores: Scores) -> str:
    joint = scores.joint
    return (
        f"macro-F1 {_share(joint.macro_f1)}   accuracy {_share(joint.accuracy)}   {joint.rows:,} images   "
        f"{joint.classes_scored} of {len(joint.classes)} classes scored"
    )


def _task_table(scores: Scores) -> Table:
    table = _table("task", "F1", "precision", "recall", "accuracy", "images")
    for name, of_task in scores.tasks.items():
        mean = [_share(of_task.macro_f1), "", "", _share(of_task.accuracy), f"{of_task.rows:,}"]
        table.add_row(visible(name), *mean, style="bold")
        for one in of_task.classes:
            f1, precision, recall, images, _ = _cells(one)
            table.add_row("  " + visible(one.name), f1, precision, recall, "", images)
    return table


def _joint_table(joint: Score) -> Table:
    table = _table("joint class", "F1", "precision", "recall", "images", "answered")
    for label, one in enumerate(joint.classes):
        table.add_row(f"{label:>2}  {visible(one.name)}", *_cells(one))
    return table


def _table(first: str, *numbers: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="")
    table.add_column(first, overflow="fold", min_width=20)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cells(one: ClassScore) -> list[str]:
    """Return F1, precision, recall, images, predicted; a dash where a share has nothing to divide by."""
    precision = _share(one.precision if one.predicted else math.nan)
    recall = _share(one.recall if one.support else math.nan)
    f1 = _share(one.f1 if one.predicted or one.support else math.nan)
    return [f1, precision, recall, f"{one.support:,}", f"{one.predicted:,}"]


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
