"""Evaluate predictions with known labels: all scores of this package in one value.

N rows, C classes of a task, J joint classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from maskcls.files import none_for_nan
from maskcls.groupnouns import PEOPLE, PHOTOS, Noun
from maskcls.labels import UNKNOWN, Ints, LabelSpace
from maskcls.results.decisions.calibration import Qualities, qualities
from maskcls.results.ensembles.diversity import kappa
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.scores.consistency import Consistency, consistency
from maskcls.results.scores.intervals import Interval, PredictionInterval, ScoreIntervals, macro_f1_intervals
from maskcls.results.scores.metrics import Scores, confusion, score
from maskcls.results.scores.ranking import Rankings, rankings
from maskcls.results.scores.slices import Mistake, Recall, Slice, class_recall, mistakes, slices


@dataclass(frozen=True, eq=False)
class Confusion:
    """Rows of one task by truth (down) and prediction (across), (C, C); kappa: agreement beyond chance, or NaN."""

    classes: tuple[str, ...]
    counts_CC: Ints
    kappa: float

    @property
    def shares(self) -> list[list[float]]:
        """The counts as shares of their row, NaN in a row of no truth."""
        return [[cell / sum(row) if sum(row) else math.nan for cell in row] for row in self.counts_CC.tolist()]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; a NaN becomes None."""
        shares = [[none_for_nan(share) for share in row] for row in self.shares]
        counts = self.counts_CC.tolist()
        return {"classes": list(self.classes), "counts": counts, "shares": shares, "kappa": none_for_nan(self.kappa)}


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate_predictions` found.

    interval     of the joint macro-F1, over people, or single rows where they are not known; None when no row has a
                 truth for every task.
    prediction   where the joint macro-F1 of as many new people, or rows, may lie; None as `interval`.
    people       how many people there are; None when that is not known, or every photo is a group of its own.
    noun         what the people are called, one and several.
    confusion    {task: its matrix}.
    mistakes     which joint classes were taken for which, the most frequent first.
    by_class     a slice for each class of each task.
    by_joint     a slice for each joint class.
    by_others    {task: a slice for each combination of the other tasks' classes}.
    last_band    {task with bins: the recall of its last class within every combination of the other tasks}.
    consistency  between photos of one person; None where nothing can be compared.
    rankings, qualities  of the probabilities, where there are any.
    folds        {fold: its own scores}, where there were folds.
    adapted      how networks were adapted to the photos, values of predict.adapt.
    """

    scores: Scores
    interval: Interval | None
    prediction: PredictionInterval | None
    people: int | None
    confusion: Mapping[str, Confusion]
    mistakes: tuple[Mistake, ...]
    by_class: tuple[Slice, ...]
    by_joint: tuple[Slice, ...]
    by_others: Mapping[str, tuple[Slice, ...]]
    last_band: Mapping[str, tuple[Recall, ...]]
    consistency: Consistency | None
    rankings: Rankings | None
    qualities: Qualities | None
    folds: Mapping[int, Scores]
    noun: Noun = PEOPLE
    adapted: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the scores' own keys, and one more for every other part; a NaN becomes None."""
        interval = self.interval and {**asdict(self.interval), "by": "row" if self.people is None else "person"}
        return {
            **self.scores.to_json(),
            "interval": interval,
            "prediction_interval": self.prediction and asdict(self.prediction),
            "people": self.people,
            "confusion": {name: one.to_json() for name, one in self.confusion.items()},
            "mistakes": [asdict(one) for one in self.mistakes],
            "slices": {
                "by_class": [one.to_json() for one in self.by_class],
                "by_joint": [one.to_json() for one in self.by_joint],
                "by_others": {name: [one.to_json() for one in found] for name, found in self.by_others.items()},
            },
            "last_band": {name: [one.to_json() for one in found] for name, found in self.last_band.items()},
            "consistency": self.consistency and self.consistency.to_json(),
            "ranking": self.rankings and self.rankings.to_json(),
            "calibration": self.qualities and self.qualities.to_json(),
            "folds": {str(fold): _brief(scores) for fold, scores in self.folds.items()},
            "adapted": list(self.adapted),
        }


def evaluate_predictions(labelled: LabelledPredictions) -> Evaluation:
    """Score predictions in every way their rows allow."""
    pred_N, truth, space, prob_NJ = labelled.pred_N, labelled.truth, labelled.space, labelled.prob_NJ
    alone = labelled.people_N is None or labelled.noun == PHOTOS
    who_N = None if alone else np.unique(np.asarray(labelled.people_N), return_inverse=True)[1]
    joint, intervals = (pred_N, truth, space), _intervals(labelled, who_N)
    return Evaluation(
        scores=score(*joint),
        interval=intervals.confidence if intervals else None,
        prediction=intervals.prediction if intervals else None,
        people=None if who_N is None else int(who_N.max()) + 1,
        confusion=_confusions(pred_N, truth, space),
        mistakes=mistakes(*joint),
        by_class=tuple(one for name in space.names for one in slices(*joint, [name], who_N)),
        by_joint=slices(*joint, space.names, who_N),
        by_others={name: slices(*joint, _others(space, name), who_N) for name in space.names},
        last_band={
            task.name: class_recall(*joint, task.name, len(task.classes) - 1, who_N)
            for task in space.tasks
            if task.bins
        },
        consistency=None if who_N is None else consistency(*joint, who_N, prob_NJ),
        rankings=None if prob_NJ is None else rankings(prob_NJ, truth, space),
        qualities=None if prob_NJ is None else qualities(prob_NJ, truth, space),
        folds=_folds(labelled),
        noun=labelled.noun,
        adapted=labelled.adapted,
    )


def _intervals(labelled: LabelledPredictions, who_N: Ints | None) -> ScoreIntervals | None:
    true_N, size = labelled.space.encode(labelled.truth), labelled.space.size
    if (true_N == UNKNOWN).all():
        return None
    person_N = np.arange(len(true_N)) if who_N is None else who_N
    return macro_f1_intervals(true_N, labelled.pred_N, person_N, size)


def task_intervals(labelled: LabelledPredictions) -> dict[str, ScoreIntervals]:
    """Return both intervals of each task's macro-F1, over people, or rows where they are not known.

    Tasks without a known label are left out. A task's prediction is its part of the predicted joint class, as in
    `score`.
    """
    part_of, rows = labelled.space.decode(labelled.pred_N), np.arange(len(labelled.pred_N))
    who_N = rows if labelled.people_N is None else labelled.people_N
    return {
        task.name: macro_f1_intervals(labelled.truth[task.name], part_of[task.name], who_N, len(task.classes))
        for task in labelled.space.tasks
        if (labelled.truth[task.name] != UNKNOWN).any()
    }


def _confusions(pred_N: Ints, truth: Mapping[str, Ints], space: LabelSpace) -> dict[str, Confusion]:
    part_of = space.decode(pred_N)
    return {task.name: confusion_of(truth[task.name], part_of[task.name], task.classes) for task in space.tasks}


def confusion_of(true_N: Ints, given_N: Ints, classes: tuple[str, ...]) -> Confusion:
    """Count the labels (N,) of one labelling against their truth (N,), where rows of -1 are left out."""
    known_N = true_N != UNKNOWN
    true_N, given_N = true_N[known_N], given_N[known_N]
    agreement = float(kappa([true_N, given_N], len(classes))[0, 1])
    return Confusion(classes, confusion(true_N, given_N, len(classes)), agreement)


def _folds(labelled: LabelledPredictions) -> dict[int, Scores]:
    if labelled.fold_N is None:
        return {}
    found = {}
    for fold in np.unique(labelled.fold_N).tolist():
        rows = np.flatnonzero(labelled.fold_N == fold)
        found[fold] = score(labelled.pred_N[rows], {k: v[rows] for k, v in labelled.truth.items()}, labelled.space)
    return found


def _others(space: LabelSpace, name: str) -> list[str]:
    return [other for other in space.names if other != name]


def _brief(scores: Scores) -> dict[str, Any]:
    joint = {"macro_f1": none_for_nan(scores.macro_f1), "accuracy": none_for_nan(scores.accuracy), "rows": scores.rows}
    return {**joint, "tasks": {name: none_for_nan(one.macro_f1) for name, one in scores.tasks.items()}}
