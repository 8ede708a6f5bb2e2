"""maskcls predict: a run's networks and unlabelled photos in, submission.csv out."""

from __future__ import annotations

from pathlib import Path

from maskcls import config, files
from maskcls.engine.processes import lost_processes_as_errors
from maskcls.errors import BusyError, UsageError
from maskcls.results.submissions.write import Written
from maskcls.rundir import RunDir
from maskcls.runs.decision import read_decision
from maskcls.runs.submission_file import write_labels
from maskcls.schema import Config
from maskcls.show.progress import Reporter
from maskcls.training.prediction import predict_rows, with_overrides

OTHER_GROUPS = "the run's decision was fitted on photos that answer in other groups"


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
    """Predict the photos with every fold and write the submission; None in processes that do not write.

    overrides may change `predict.*`, `device.*` and `data.cache` alone. decide: answer by the run's decision, see
    `calibrate`, in the place of the most probable class. groups: which photos are of one person, see `group`; they
    answer together in the tasks that are the same on all photos of a person, in the place of predict.groups. Raises
    BusyError when the output exists, unless `force`, UsageError for other groups than the decision was fitted with.
    """
    files.sidecar_path(output)  # refuses a name that has none, before any work
    if output.exists() and not force:
        raise BusyError("the output exists", where=str(output), fix="choose another -o, or replace it with --force")
    if groups is not None and config.setting(overrides, "predict.groups"):
        raise UsageError("--groups and predict.groups= say the same thing", fix="give one of them")
    if decide and groups is not None:
        fix = f"maskcls ensemble {run.path} --groups … --oof-groups … --decide"
        raise UsageError(OTHER_GROUPS, where="--decide, --groups", fix=fix)
    decision = read_decision(run) if decide else None
    if decide:
        refuse_other_groups(config.load(run.config)[0], overrides)
    found = predict_rows(run, data, overrides=overrides, groups=groups, report=report)
    if found is None:
        return None
    predictions, lineage = found.predictions, found.lineage
    labels = predictions.labels()
    if decision is not None:
        labels = decision.labels(predictions)
        lineage = lineage.with_decision(decision)
        if decision.rule is None:
            report.note("no decision rule was worth it, so the most probable class is the answer")
    return write_labels(output, found.cfg, found.rows, labels, lineage.to_json(), force=force)


def refuse_other_groups(cfg: Config, overrides: list[str]) -> None:
    """Raise UsageError where photos would answer in other groups than the rows the run's decision was fitted on."""
    asked, own = with_overrides(cfg, overrides).predict.groups, cfg.predict.groups
    if asked != own:
        where = f"--decide, predict.groups={asked}"
        raise UsageError(OTHER_GROUPS, where=where, expected=own, fix="leave out one of them")
