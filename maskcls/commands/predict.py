"""maskcls predict: predict photos with a run's networks and write a submission."""

from __future__ import annotations

from pathlib import Path

from maskcls.engine.processes import lost_processes_as_errors
from maskcls.errors import UsageError
from maskcls.results.submissions.write import Written
from maskcls.rundir import RunDir
from maskcls.runs.checks import OTHER_GROUPS, check_prediction
from maskcls.runs.decision import read_decision
from maskcls.runs.lineage import RunLineage
from maskcls.runs.submission_file import write_labels
from maskcls.runs.summary import averages_in_groups
from maskcls.show.terminal.progress import Reporter
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
    force: bool,
    report: Reporter,
) -> Written | None:
    """Predict the photos with every fold's network and write the submission; None in processes that do not write.

    overrides  of `predict.*`, `device.*` and `data.cache` alone.
    decide     predict by the run's decision rule, see `calibrate`, instead of the most probable class.
    groups     which photos are of one person, see `group`: their predictions are averaged in the tasks that are
               the same on all photos of a person. It replaces predict.groups.

    Raises what `check_prediction` raises, and UsageError where the decision rule was fitted on averaged photos.
    """
    check_prediction(run, data, output, overrides, decide=decide, groups=groups, force=force)
    decision = read_decision(run) if decide else None
    found = predict_rows(run, data, overrides=overrides, groups=groups, report=report)
    if found is None:
        return None
    predictions, lineage = found.predictions, found.lineage
    if decision is not None:
        refuse_single_photos(run, lineage)
    labels = predictions.labels()
    if decision is not None:
        labels = decision.labels(predictions)
        lineage = lineage.with_decision(decision)
        if decision.rule is None:
            report.note("no decision rule had a proven gain: the most probable class is predicted")
    return write_labels(output, found.cfg, found.rows, labels, lineage.to_json(), force=force)


def refuse_single_photos(run: RunDir, lineage: RunLineage) -> None:
    """Raise UsageError where the decision rule was fitted on averaged rows, and the photos were not averaged."""
    if averages_in_groups(run) and lineage.groups is None:
        got = "too many people look similar among these photos, so they are predicted alone"
        raise UsageError(OTHER_GROUPS, where="--decide", got=got, fix="leave out --decide")
