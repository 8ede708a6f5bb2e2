"""The mean of the out-of-fold rows of a repeated cross-validation, and its score.

Every row is predicted once per repeat, by a network that did not see its person. N rows, R repeats.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from maskcls import files
from maskcls.errors import ResultError
from maskcls.files import none_for_nan
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.predictions import Predictions
from maskcls.results.rows_by_id import rows_of
from maskcls.results.scores.intervals import Interval, macro_f1_intervals
from maskcls.results.scores.metrics import score
from maskcls.rundir import RepeatsDir, RunDir
from maskcls.runs.read_labelled import read_out_of_fold
from maskcls.runs.repeats.repeat_baseline import RepeatedBaseline, repeated_baseline
from maskcls.runs.summary import HeadsBaseline, SavedScores, read_summary
from maskcls.typedjson import JsonFile


class RepeatedScores(JsonFile):
    """The content of repeats.json.

    pooled    scores of the mean of the repeats' out-of-fold probabilities, every row once.
    interval  of its macro-F1, over people: each person counts once, however many repeats there are. None without a row
              whose labels are all known.
    each      macro-F1 of each repeat alone, by its folder's name.
    sd        standard deviation of these: how much folds and seeds alone change a score. It says nothing about people.
    changed   share of the rows that do not get the same class in all repeats, in [0, 1].
    networks  trained networks that predict new photos, of all repeats.
    baseline  of repeats that have one (train.baseline).
    """

    version: int = 1
    pooled: SavedScores
    interval: Interval | None
    each: dict[str, float | None]
    sd: float | None
    changed: float
    rows: int
    people: int
    folds: int
    networks: int
    baseline: RepeatedBaseline | None = None


def score_repeats(folder: RepeatsDir, runs: Sequence[RunDir], *, folds: int, networks: int) -> RepeatedScores:
    """Average the runs' out-of-fold rows, save them and their score in the folder, and return the score.

    Raises what `averaged_repeats` does.
    """
    mean, scores = averaged_repeats(runs, folds=folds, networks=networks)
    mean.save(folder.oof)
    files.commit_json(folder.scores, files.with_digest(scores.to_json()))
    return scores


def averaged_repeats(runs: Sequence[RunDir], *, folds: int, networks: int) -> tuple[Predictions, RepeatedScores]:
    """Return the mean of the runs' out-of-fold rows, and its score.

    Raises ResultError as `read_out_of_fold`, and when the runs have other rows or labels.
    """
    found = [read_out_of_fold(run) for run in runs]
    first, members = found[0], []
    for run, one in zip(runs, found, strict=True):
        assert one.prob_NJ is not None
        if sorted(one.ids) != sorted(first.ids):
            raise ResultError("the repeats have other rows", where=str(run.path), fix="train them again")
        lineage = {"repeat": run.path.name}
        members.append(Predictions(np.asarray(one.ids, dtype=np.str_), one.prob_NJ, one.space, lineage))
    mean = Predictions.mean(members, names=[str(run.path) for run in runs])
    label_RN = np.stack([one.pred_N[rows_of(one.ids, first.ids)] for one in found])
    assert first.people_N is not None
    true_N, size = first.space.encode(first.truth), first.space.size
    known = bool((true_N >= 0).any())
    interval = macro_f1_intervals(true_N, mean.labels(), first.people_N, size).confidence if known else None
    alone = {run.path.name: _macro_f1(one) for run, one in zip(runs, found, strict=True)}
    values = [value for value in alone.values() if value is not None]
    scores = RepeatedScores(
        pooled=SavedScores.of(score(mean.prob, first.truth, first.space)),
        interval=interval,
        each=alone,
        sd=statistics.stdev(values) if len(values) > 1 else None,
        changed=float((label_RN != label_RN[0]).any(axis=0).mean()),
        rows=len(first.ids),
        people=len(np.unique(first.people_N)),
        folds=folds,
        networks=networks,
    )
    if (baseline := repeated_baseline({run.path.name: _baseline(run) for run in runs})) is not None:
        scores = scores.model_copy(update={"baseline": baseline})
    return mean, scores


def _baseline(run: RunDir) -> HeadsBaseline | None:
    summary = read_summary(run)
    return None if summary is None else summary.baseline


def _macro_f1(labelled: LabelledPredictions) -> float | None:
    return none_for_nan(score(labelled.pred_N, labelled.truth, labelled.space).macro_f1)
