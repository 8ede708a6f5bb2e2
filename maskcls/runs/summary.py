"""summary.json, of a run and of a fold: scores, and what was averaged. A fold's also names the epoch it uses.

A leaky run has no scores: its networks may have trained on people of the validation folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from maskcls import owned
from maskcls.results.comparison.difference import Difference
from maskcls.results.people.expected_gain import MeasuredGain
from maskcls.results.scores.intervals import Interval, PredictionInterval
from maskcls.results.scores.metrics import ClassScore, Score, Scores
from maskcls.rundir import FoldDir, RunDir
from maskcls.typedjson import JsonFile


class SavedScore(JsonFile):
    """A `metrics.Score`; numbers are null where no row is scored."""

    macro_f1: float | None
    accuracy: float | None = None
    rows: int = 0
    classes_scored: int = 0
    classes: tuple[ClassScore, ...] = ()

    @staticmethod
    def of(score: Score) -> SavedScore:
        """Return a score in the form it is saved in."""
        return SavedScore.model_validate(score.to_json() | {"classes": score.classes})


class SavedScores(JsonFile):
    """A `metrics.Scores`: the joint classes' score, and each task's."""

    macro_f1: float | None
    accuracy: float | None = None
    rows: int = 0
    classes_scored: int = 0
    classes: tuple[ClassScore, ...] = ()
    tasks: dict[str, SavedScore]

    @staticmethod
    def of(scores: Scores) -> SavedScores:
        """Return scores in the form they are saved in."""
        joint = dict(SavedScore.of(scores.joint))
        return SavedScores(**joint, tasks={name: SavedScore.of(one) for name, one in scores.tasks.items()})


class GroupGain(JsonFile):
    """What averaging predictions within groups of similar photos gains on the out-of-fold rows.

    by        the value of predict.groups.
    averaged  whether the rows, and new photos, are averaged: only with a proven gain.
    tasks     the tasks in which predictions are averaged: those that never vary within a person.
    weights   of a photo in its group, by its predicted class of another task; None: all weigh the same.
    alone     macro-F1 without averaging; gain: over that, with an interval over people; the smaller of the next two.
    cut       the gain with groups cut at the folds; whole: with whole groups, see results/people/stand_ins.py.
    right_only  the gain without wrong pairs; rows_precision: the pair precision of the whole groups of these rows.
    photos    new photos that are assumed: as many as train photos; expected, low: the gain among them, and the lower
              end of its interval.
    pair_precision, pair_recall  of train people, each half grouped by what was fitted on the other.
    precision_among  expected pair precision by number of new photos.

    Files of earlier versions lack `averaged` and the fields from `cut` on, or only those from `cut` to `low`: there the
    gain is that of cut groups.
    """

    by: str
    averaged: bool = True
    tasks: tuple[str, ...]
    weights: dict[str, float] | None
    alone: float | None
    gain: Difference | None
    cut: Difference | None = None
    whole: Difference | None = None
    right_only: float | None = None
    rows_precision: float | None = None
    photos: int | None = None
    expected: float | None = None
    low: float | None = None
    pair_precision: float | None = None
    pair_recall: float | None = None
    precision_among: dict[str, float] = Field(default_factory=dict)

    @property
    def measured(self) -> MeasuredGain | None:
        """The gain in both ways; None where it was not measured so."""
        if self.cut is None or self.whole is None or self.right_only is None or self.rows_precision is None:
            return None
        return MeasuredGain(self.cut, self.whole, self.right_only, self.rows_precision)


class EpochSelection(JsonFile):
    """How each fold's epoch was chosen, and what the last epochs would score.

    by      the value of train.select.
    epochs  the epoch of every network, from 0, by its title, such as `fold 0` or `age fold 0`.
    soups   the epochs whose weights are averaged, by the same titles, where average.soup is above 1.
    kept    the titles of those that keep their epoch from a training of fewer folds, which chose it.
    last    macro-F1 of the out-of-fold rows with every network's last epoch; gain: of the chosen epochs over that.
    """

    by: str
    epochs: dict[str, int]
    soups: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    kept: tuple[str, ...] = ()
    last: float | None
    gain: Difference | None


class HeadsBaseline(JsonFile):
    """What heads on the backbone as it was before the training score on the same rows, each photo alone.

    gain  macro-F1 of the trained networks minus that of the heads; None where no row has a label of every task.
    """

    macro_f1: float | None
    gain: Difference | None


class RunSummary(JsonFile):
    """The content of a run's summary.json.

    pooled    scores of all out-of-fold rows; None: the run is leaky.
    interval  of the pooled macro-F1, over people; None where no row has a label of every task.
    prediction_interval  of the macro-F1 of as many new people; None also in summaries of earlier versions.
    folds     macro-F1 by fold: `macro_f1` of the joint classes, and of each task; mean and sd are over the folds.
    groups    where predict.groups averages within groups of similar photos.
    seeds     where a fold has networks of several seeds: each seed's scores alone.
    selection  how the epochs were chosen; None in runs of earlier versions, which chose each by the fold's own rows.
    baseline   of a run with train.baseline.
    files      sha256 of what it was made from, by path: the out-of-fold rows, and DONE of every network; empty in
               summaries of earlier versions.
    """

    leaky: bool = False
    pooled: SavedScores | None
    interval: Interval | None
    prediction_interval: PredictionInterval | None = None
    people: int = 0
    folds: dict[str, dict[str, float | None]]
    mean: dict[str, float | None] = Field(default_factory=dict)
    sd: dict[str, float | None]
    groups: GroupGain | None = None
    seeds: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    selection: EpochSelection | None = None
    baseline: HeadsBaseline | None = None
    files: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _scored_unless_leaky(self) -> Self:
        if (self.pooled is None) != self.leaky:
            raise ValueError("only a leaky run has no scores")
        return self

    @property
    def fold_numbers(self) -> list[int]:
        """The folds the summary is about."""
        return [int(k) for k in self.folds]


class HeadChoice(JsonFile):
    """What was chosen for a head of model.train=heads on its fold's training people.

    strength  of the regularisation, see heads.strength. scale: the factor of its logits.
    loss      weighted log loss of training people who were left out; None where none were.
    """

    strength: float
    scale: float
    loss: float | None


class FoldSummary(JsonFile):
    """The content of a fold's summary.json.

    best_epoch  the epoch, from 0, of the weights in best/; see train.select.
    soup        the epochs that were averaged, where the average is used.
    among       the folds of the training that chose the epoch, where these were not all folds; empty in runs of earlier
                versions.
    leaky       there are no scores then.
    heads       of a run with model.train=heads, by name.
    """

    best_epoch: int
    leaky: bool = False
    soup: tuple[int, ...] = ()
    among: tuple[int, ...] = ()
    macro_f1: float | None = None
    accuracy: float | None = None
    rows: int = 0
    classes_scored: int = 0
    classes: tuple[ClassScore, ...] = ()
    tasks: dict[str, SavedScore] = Field(default_factory=dict)
    heads: dict[str, HeadChoice] = Field(default_factory=dict)


def read_summary(run: RunDir) -> RunSummary | None:
    """Read a run's summary.json; None where there is none, ResultError when it is damaged, changed or another run's."""
    return owned.read(run.summary, run.path, RunSummary) if run.summary.exists() else None


def averages_in_groups(run: RunDir) -> bool:
    """Tell whether a finished run's out-of-fold rows are averaged within groups."""
    summary = read_summary(run)
    return bool(summary and summary.groups and summary.groups.averaged)


def write_summary(run: RunDir, summary: RunSummary) -> None:
    """Commit a run's summary.json; the run is finished then."""
    owned.write(run.summary, run.path, summary)


def read_fold_summary(folder: FoldDir) -> FoldSummary:
    """Read a fold's summary.json; ResultError when it is missing, damaged, changed or another fold's."""
    return owned.read(folder.summary, folder.root, FoldSummary)


def write_fold_summary(folder: FoldDir, summary: FoldSummary) -> None:
    """Commit a fold's summary.json."""
    owned.write(folder.summary, folder.root, summary)


def scored_fold(best_epoch: int, soup: Sequence[int], scores: Scores, among: Sequence[int] = ()) -> FoldSummary:
    """Return the summary of a fold with scores."""
    summary = FoldSummary(best_epoch=best_epoch, **dict(SavedScores.of(scores)))
    given = {"soup": tuple(soup), "among": tuple(among)}
    return summary.model_copy(update={name: value for name, value in given.items() if value})
