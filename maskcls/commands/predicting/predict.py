"""maskcls predict: predict photos with a run's networks and write a submission."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import maskcls
from maskcls import config, files
from maskcls.data.layouts.source import image_root, layout_named
from maskcls.engine.processes.shared_fate import lost_processes_as_errors
from maskcls.errors import UsageError
from maskcls.files import OutputFile
from maskcls.labels import Ints, LabelSpace
from maskcls.results.predicted.formats import TableFormat, format_of
from maskcls.results.predicted.rows import PhotoRows, TableForm
from maskcls.results.predicted.table_file import TableOutput, WrittenTable, table_aside
from maskcls.results.predictions import Predictions
from maskcls.results.submissions.shares import dominant_class
from maskcls.results.submissions.write import Written
from maskcls.rundir import RunDir
from maskcls.runs.checks import OTHER_GROUPS, check_prediction
from maskcls.runs.decision import read_decision
from maskcls.runs.lineage import RunLineage
from maskcls.runs.locks import run_lock
from maskcls.runs.repeats.repeat_runs import is_repeated, members_of
from maskcls.runs.submission_file import write_labels
from maskcls.runs.summary import averages_in_groups
from maskcls.show.terminal.progress import Reporter
from maskcls.training.predicting.other_cropping import note_other_cropping
from maskcls.training.prediction import predict_rows


@lost_processes_as_errors()
def predict(
    run: RunDir,
    data: Path,
    output: Path,
    *,
    overrides: list[str],
    decide: bool = False,
    groups: Path | None = None,
    probabilities: Path | None = None,
    table_format: TableFormat | None = None,
    force: bool,
    report: Reporter,
) -> Written | WrittenTable | None:
    """Predict the photos with every fold's network and write the submission; None in processes that do not write.

    run        or the folder of a repeated cross-validation: the mean over its repeats is predicted.
    overrides  of `predict.*`, `device.*` and `data.cache` alone.
    decide     predict by the run's decision rule, see `calibrate`, instead of the most probable class.
    groups     which photos are of one person, see `group`: their predictions are averaged in the tasks that are
               the same on all photos of a person. It replaces predict.groups.
    probabilities  a second table to write, with the probability of every class.
    table_format   of both; None: by suffix.

    Raises what `check_prediction` raises, and UsageError where the decision rule was fitted on averaged photos.
    """
    check_prediction(run, data, output, overrides, decide=decide, groups=groups, force=force)
    decision = read_decision(run) if decide else None
    parts, members = [], members_of(run)
    cfg = config.of_run(members[0].config)
    note_other_cropping(members[0], image_root(data, cfg.data.format), report)
    for member in members:
        with run_lock.reading(member):
            parts.append(predict_rows(member, data, overrides=overrides, groups=groups, report=report))
    if (found := parts[0]) is None:
        return None
    predictions, lineage = found.predictions, found.lineage
    origin = None  # of the mean over repeats
    if is_repeated(run):
        every = [part for part in parts if part is not None]
        predictions = Predictions.mean([part.predictions for part in every])
        origin = repeated_lineage(run, [part.lineage for part in every])
    if decision is not None:
        refuse_single_photos(run, lineage)
    labels = predictions.labels()
    if decision is not None:
        labels = decision.labels(predictions)
        lineage = lineage.with_decision(decision)
        if decision.rule is None:
            report.note("no decision rule had a proven gain: the most probable class is predicted")
    origin = lineage.to_json() if origin is None else origin
    note_dominant_class(labels, found.cfg.space, report)
    rows = PhotoRows(found.rows["id"].tolist(), predictions.prob, labels, [""] * len(labels))
    layout = layout_named(found.cfg.data.format)
    form = TableForm(found.cfg.space, layout.id_column, task_columns=layout.task_columns)
    whole = TableForm(found.cfg.space, layout.id_column, probabilities=True)
    main = TableOutput(output, format_of(output, table_format), form)
    with ExitStack() as stack:
        beside: tuple[OutputFile, ...] = ()
        if probabilities is not None:
            table = TableOutput(probabilities, format_of(probabilities, table_format), whole)
            _, beside = stack.enter_context(table_aside(table, [rows], origin))
        if main.format == "csv":
            written: Written | WrittenTable = write_labels(
                output, found.cfg, found.rows, labels, origin, beside=beside, force=force
            )
        else:
            written, own = stack.enter_context(table_aside(main, [rows], origin))
            files.commit_outputs([*beside, *own], force=force)
    return written


def repeated_lineage(folder: RunDir, found: Sequence[RunLineage]) -> dict[str, Any]:
    """Return what the mean over the repeats of a cross-validation was made from: the lineage of each repeat."""
    return {
        "maskcls": maskcls.__version__,
        "run": folder.path.resolve().name,
        "repeats": [one.to_json() for one in found],
    }


def note_dominant_class(label_N: Ints, space: LabelSpace, report: Reporter) -> None:
    """Print a warning where nearly all photos are predicted as one class."""
    rows_J = np.bincount(label_N, minlength=space.size)
    if (label := dominant_class(rows_J)) is not None:
        what = f"{rows_J[label]:,} of {len(label_N):,} photos are predicted as {space.joint_names[label]}"
        report.note(f"warning: {what}; compare with the training set: maskcls submission check")


def refuse_single_photos(run: RunDir, lineage: RunLineage) -> None:
    """Raise UsageError where the decision rule was fitted on averaged rows, and the photos were not averaged."""
    if averages_in_groups(run) and lineage.groups is None:
        got = "too many people look similar among these photos, so they are predicted alone"
        raise UsageError(OTHER_GROUPS, where="--decide", got=got, fix="leave out --decide")
