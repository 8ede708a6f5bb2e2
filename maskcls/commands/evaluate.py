"""`maskcls evaluate`: judge predictions whose truth is known, and show where they are wrong."""

from __future__ import annotations

import csv
import io
from json import dumps
from pathlib import Path
from typing import Any, Literal

import numpy as np

from maskcls import files
from maskcls.errors import BusyError
from maskcls.labels import LabelSpace
from maskcls.results.scores import evaluation
from maskcls.results.scores.evaluation import Evaluation, Judged
from maskcls.results.scores.metrics import Scores, score
from maskcls.runs.judged import read_judged, read_submission

Section = Literal["short", "all", "scores", "confusion", "slices", "people"]


def evaluate(submission: Path, answers: Path, space: LabelSpace | None = None) -> Scores:
    """Join a submission and the true answers by id and return the scores alone.

    space  the labels' meaning; None takes it from the submission's sidecar, or the contest's when there is none.

    Answers may be unknown in part: a task is scored where it is known, the joint classes where all tasks are.
    Raises DataError when a file is wrong, the ids differ, or nothing can be scored.
    """
    judged = read_submission(submission, answers, space)
    return score(judged.pred_N, judged.truth, judged.space)


def show(
    what: Path,
    answers: Path | None = None,
    *,
    section: Section = "short",
    write: Path | None = None,
    force: bool = False,
    json: bool = False,
) -> Evaluation:
    """Judge a submission, predictions (.npz) or a run folder, and print the result to stdout; returns it.

    answers  CSV of the truth; None for a run folder.
    section  what a person sees; `json` prints everything, as one JSON object, NaN as null.
    write    a CSV to write as well, a row a photo; BusyError when it exists, unless `force`.

    Raises UsageError, DataError or ResultError when the files do not fit together.
    """
    if write is not None and write.exists() and not force:
        raise BusyError("the output exists", where=str(write), fix="choose another --write, or replace it with --force")
    judged = read_judged(what, answers)
    found = evaluation.evaluate(judged)
    if write is not None:
        files.commit(write, to_csv(judged))
    if json:
        print(dumps(found.to_json(), allow_nan=False))
    else:
        from maskcls.show.evaluation import render

        _print(render(found, section))
    return found


def print_scores(scores: Scores, json: bool = False) -> None:
    """Print scores alone to stdout: tables for a person, or with `json` one JSON object, NaN as null."""
    if json:
        print(dumps(scores.to_json(), allow_nan=False))
        return
    from maskcls.show.evaluation import render_scores

    _print(render_scores(scores))


def to_csv(judged: Judged) -> bytes:
    """Return a row a photo: id, person, fold, truth and answer, by number and by name, and what they were given.

    Columns: `id`; `person` and `fold` where they are known; `true` and `predicted`, joint classes, the first empty
    where a task is unknown; `true_<task>` and `<task>`, class names; with probabilities `prob_true` and
    `prob_predicted`.
    """
    space, true_N = judged.space, judged.space.encode(judged.truth)
    part_of = space.decode(judged.pred_N)
    columns: dict[str, Any] = {"id": judged.ids}
    if judged.people_N is not None:
        columns["person"] = judged.people_N.tolist()
    if judged.fold_N is not None:
        columns["fold"] = judged.fold_N.tolist()
    columns["true"], columns["predicted"] = _text(true_N.tolist()), judged.pred_N.tolist()
    for task in space.tasks:
        columns[f"true_{task.name}"] = _names(task.classes, judged.truth[task.name].tolist())
        columns[task.name] = _names(task.classes, part_of[task.name].tolist())
    if judged.prob_NJ is not None:
        rows = np.arange(len(true_N))
        given_N = judged.prob_NJ[rows, np.maximum(true_N, 0)].tolist()
        columns["prob_true"] = [f"{p:.6g}" if label >= 0 else "" for p, label in zip(given_N, true_N, strict=True)]
        columns["prob_predicted"] = [f"{p:.6g}" for p in judged.prob_NJ[rows, judged.pred_N].tolist()]
    return _csv(columns)


def _names(classes: tuple[str, ...], labels: list[int]) -> list[str]:
    return [classes[label] if label >= 0 else "" for label in labels]


def _text(labels: list[int]) -> list[str]:
    return [str(label) if label >= 0 else "" for label in labels]


def _csv(columns: dict[str, Any]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue().encode()


def _print(what: Any) -> None:
    from rich.console import Console

    Console(highlight=False, markup=False, emoji=False).print(what)
