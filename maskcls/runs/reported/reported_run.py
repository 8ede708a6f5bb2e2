"""A finished run as a report shows it: everything its sections need, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from maskcls import config
from maskcls.errors import ResultError, shell_word
from maskcls.groupnouns import Noun
from maskcls.labels import Ints
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.evaluation import Evaluation, evaluate_predictions
from maskcls.rundir import RunDir
from maskcls.runs.environment import Environment, read_environment
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.records.record import RunRecord, read_record
from maskcls.runs.records.unsealed import SealedScore, read_sealed_score
from maskcls.runs.reported.choices_made import ChoicesMade, read_choices
from maskcls.runs.reported.network_logs import NetworkLog, read_logs
from maskcls.runs.reported.saved_calibration import SavedCalibration, read_calibration
from maskcls.runs.summary import RunSummary, read_summary
from maskcls.schema import Config
from maskcls.schema.group_noun import group_noun


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """The out-of-fold rows of a run with what they are scored against. N rows.

    labelled    predictions, labels, people and folds.
    evaluation  of them, as `maskcls evaluate RUN` computes it.
    values      {task with bins: the whole number of each row (N,), -1 = unknown}.
    paths       of each row's photo, relative to the image root.
    """

    labelled: LabelledPredictions
    evaluation: Evaluation
    values: Mapping[str, Ints]
    paths: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ReportedRun:
    """A finished run, read from its files.

    rows         None for a leaky run, which has no score.
    calibration  None where the run is not calibrated.
    sealed       its score on the sealed people; None before `maskcls unseal`.
    """

    run: RunDir
    record: RunRecord
    config: Config
    environment: Environment
    summary: RunSummary
    rows: ScoredRows | None
    logs: tuple[NetworkLog, ...]
    calibration: SavedCalibration | None
    choices: ChoicesMade
    sealed: SealedScore | None

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.run.path.resolve().name

    @property
    def noun(self) -> Noun:
        """What the groups of the data set are called, one and several."""
        return group_noun(self.config)


def read_reported_run(run: RunDir) -> ReportedRun:
    """Read a finished run; raises ResultError when it is not finished, was changed, or a file is damaged."""
    env, summary = read_environment(run), read_summary(run)
    cfg = config.of_run(run.config)
    if summary is None:
        raise ResultError("the run is not finished", where=str(run.path), fix=f"maskcls resume {shell_word(run.path)}")
    rows = None if summary.leaky else read_scored_rows(run, cfg)
    return ReportedRun(
        run,
        record=read_record(run),
        config=cfg,
        environment=env,
        summary=summary,
        rows=rows,
        logs=read_logs(run, cfg, env.folds),
        calibration=read_calibration(run),
        choices=read_choices(run, rows.labelled if rows else None),
        sealed=read_sealed_score(run),
    )


def read_scored_rows(run: RunDir, cfg: Config) -> ScoredRows:
    """Read and evaluate a run's out-of-fold rows; raises ResultError as `read_out_of_fold`."""
    from maskcls.data.rows import manifest as tables

    labelled = read_out_of_fold(run)
    frame = tables.from_csv(run.manifest, cfg.space)
    rows_N = rows_of(frame["id"].tolist(), list(labelled.ids))
    values = {name: value_N[rows_N] for name, value_N in tables.values(frame, cfg.space).items()}
    paths = tuple(frame["path"].to_numpy(str)[rows_N].tolist())
    return ScoredRows(labelled, evaluate_predictions(labelled), values, paths)
