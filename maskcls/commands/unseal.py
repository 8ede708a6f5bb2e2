"""maskcls unseal: score a run once on the people that folds.sealed set aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from maskcls import config
from maskcls.errors import ResultError, shell_word
from maskcls.files import none_for_nan
from maskcls.results.predictions import Predictions
from maskcls.results.scores.intervals import macro_f1_intervals
from maskcls.results.scores.metrics import score
from maskcls.rundir import RunDir
from maskcls.runs.checks import check_unsealing
from maskcls.runs.choices.tried import add_unsealed
from maskcls.runs.environment import read_environment
from maskcls.runs.locks import run_lock
from maskcls.runs.networks import predicting_weights
from maskcls.runs.read_labelled import LEAKY, SCORED_FIX
from maskcls.runs.records.sealed_people import people_sha256
from maskcls.runs.records.unsealed import SealedScore, read_sealed_score, write_sealed_score
from maskcls.runs.summary import SavedScores, read_summary
from maskcls.show.terminal.progress import Reporter
from maskcls.training.experiment import Experiment
from maskcls.training.known_photos import cured_by_restoring
from maskcls.training.prediction import predict_sealed
from maskcls.training.stored_experiment import open_with_photos


@dataclass(frozen=True)
class Unsealed:
    """The score of a run on its sealed people.

    now   whether this call scored them; False: an earlier one did.
    runs  how many runs of this folder were scored on the same people, this one included; kept: the register of
          choices could be written.
    """

    score: SealedScore
    now: bool
    runs: int
    kept: bool


def unseal(run: RunDir, *, date: datetime, report: Reporter, data: Path | None = None) -> Unsealed | None:
    """Score a finished run on its sealed people and record it; return the record where there is one already.

    data  where the run's data set is now; None: where it was.

    Returns None in processes that do not write. Raises UsageError for a run without sealed people, ResultError for a
    run that is leaky, not finished or was changed, BusyError when another process works on it.
    """
    check_unsealing(run)
    if (known := read_sealed_score(run)) is not None:
        cfg, env = config.of_run(run.config), read_environment(run)
        if list(known.weights) != predicting_weights(run, cfg, env.folds):
            report.note("the run has changed since: the score is that of its networks at that time")
        return Unsealed(known, False, *add_unsealed(run, known.sealed, known.weights))
    experiment, env = open_with_photos(run, data)
    if experiment.leaky:
        raise ResultError(LEAKY, where=str(run.path), fix=SCORED_FIX)
    if (summary := read_summary(run)) is None:
        raise ResultError("the run is not finished", where=str(run.path), fix=f"maskcls resume {shell_word(run.path)}")
    with cured_by_restoring():
        predicted = predict_sealed(experiment, env, report)
    if predicted is None:
        return None
    found = sealed_score(experiment, predicted, out_of_fold=summary.pooled, date=date)
    with run_lock.lock(run):
        written = read_sealed_score(run)  # by another process, meanwhile
        if written is None:
            write_sealed_score(run, found)
    return Unsealed(written or found, written is None, *add_unsealed(run, found.sealed, (written or found).weights))


def sealed_score(
    experiment: Experiment, predicted: Predictions, *, out_of_fold: SavedScores | None, date: datetime
) -> SealedScore:
    """Score predictions of the sealed rows, in their order."""
    from maskcls.data.rows.manifest import labels

    assert experiment.sealed is not None
    space, person_N = experiment.cfg.space, experiment.sealed["person"].to_numpy(np.str_)
    truth, intervals = labels(experiment.sealed, space), None
    joint_N = space.encode(truth)
    if (joint_N >= 0).any():
        intervals = macro_f1_intervals(joint_N, predicted.labels(), person_N, space.size)
    return SealedScore(
        scores=SavedScores.of(score(predicted.prob, truth, space)),
        interval=intervals.confidence if intervals else None,
        people=len(set(person_N.tolist())),
        rows=len(person_N),
        out_of_fold=none_for_nan(out_of_fold.macro_f1) if out_of_fold else None,
        out_of_fold_classes=out_of_fold.classes_scored if out_of_fold else None,
        weights=tuple(sorted(one["sha256"] for one in predicted.lineage["weights"])),
        views=experiment.cfg.predict.views,
        sealed=people_sha256(person_N.tolist()),
        date=date.isoformat(timespec="seconds"),
    )
