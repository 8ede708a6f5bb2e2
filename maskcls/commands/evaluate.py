"""maskcls evaluate: score predictions whose labels are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from maskcls import files
from maskcls.files import OutputFile
from maskcls.results.csv_with_origin import csv_bytes
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.scores import evaluation
from maskcls.results.scores.evaluation import Evaluation
from maskcls.runs.identity import files_read
from maskcls.runs.read_labelled import read_labelled_predictions


def evaluate(what: Path, answers: Path | None = None, *, output: Path | None = None, force: bool = False) -> Evaluation:
    """Score a submission, predictions (.npz) or a run folder on known labels.

    answers  CSV of the true labels, or a folder of class folders; None for a run folder.
    output   a CSV to write as well, one row per photo; BusyError when it exists, unless `force`.

    Raises UsageError, DataError or ResultError when the files do not fit together.
    """
    if output is not None:
        files.refuse_finished(output, inputs=files_read(what, answers), force=force)
    labelled = read_labelled_predictions(what, answers)
    found = evaluation.evaluate_predictions(labelled)
    if output is not None:
        files.commit_outputs([OutputFile(output, rows_as_csv(labelled))], force=force)
    return found


def rows_as_csv(labelled: LabelledPredictions) -> bytes:
    """Return one row per photo: id, person, fold, true and predicted class, as number and name, and probabilities.

    Columns: `id`; `person` and `fold` where they are known; `true` and `predicted`, joint classes, the first empty
    where a task is unknown; `true_<task>` and `<task>`, class names; with probabilities `prob_true`, `prob_predicted`,
    and `<task>/<class>` for every class.
    """
    space, true_N = labelled.space, labelled.space.encode(labelled.truth)
    part_of = space.decode(labelled.pred_N)
    columns: dict[str, Any] = {"id": labelled.ids}
    if labelled.people_N is not None:
        columns["person"] = labelled.people_N.tolist()
    if labelled.fold_N is not None:
        columns["fold"] = labelled.fold_N.tolist()
    columns["true"], columns["predicted"] = _text(true_N.tolist()), labelled.pred_N.tolist()
    for task in space.tasks:
        columns[f"true_{task.name}"] = _names(task.classes, labelled.truth[task.name].tolist())
        columns[task.name] = _names(task.classes, part_of[task.name].tolist())
    if labelled.prob_NJ is not None:
        rows = np.arange(len(true_N))
        given_N = labelled.prob_NJ[rows, np.maximum(true_N, 0)].tolist()
        columns["prob_true"] = [f"{p:.6g}" if label >= 0 else "" for p, label in zip(given_N, true_N, strict=True)]
        columns["prob_predicted"] = [f"{p:.6g}" for p in labelled.prob_NJ[rows, labelled.pred_N].tolist()]
        shares = space.marginals(labelled.prob_NJ)
        for task in space.tasks:
            for c, name in enumerate(task.classes):
                columns[f"{task.name}/{name}"] = list(map(str, shares[task.name][:, c]))
    return csv_bytes(columns)


def _names(classes: tuple[str, ...], labels: list[int]) -> list[str]:
    return [classes[label] if label >= 0 else "" for label in labels]


def _text(labels: list[int]) -> list[str]:
    return [str(label) if label >= 0 else "" for label in labels]
