"""Group averaging in a run: which photos are averaged, in which tasks, with which weights, and whether at all.

N out-of-fold rows, J joint classes. torch is not imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from maskcls import files
from maskcls.data.rows.manifest import person_tasks, real_rows
from maskcls.errors import DataError
from maskcls.labels import UNKNOWN, Floats, Ints, LabelSpace
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.people.averaging import PhotoWeights, average_groups
from maskcls.results.people.clustering import pair_quality
from maskcls.results.people.expected_gain import ExpectedGain, MeasuredGain
from maskcls.results.people.group_file import Groups
from maskcls.results.people.out_of_fold import average_rows, measure_groups, rows_by_way
from maskcls.results.people.pair_rates import PairRates
from maskcls.results.predictions import Predictions
from maskcls.runs.lineage import UsedGroups
from maskcls.runs.read_labelled import parts_of


def groups_of(group_N: Ints) -> Groups:
    """Return groups, (N,) int64, that come from no file."""
    return Groups(group_N, None, files.sha256(group_N.tobytes()))


def shared_tasks(manifest: pd.DataFrame, space: LabelSpace, *, where: str) -> tuple[str, ...]:
    """Return the tasks whose label is the same on all photos of each person; DataError when there are none."""
    tasks = person_tasks(manifest[real_rows(manifest)], space)
    if not tasks:
        raise DataError(
            "no task has the same label on all photos of each person, so there is nothing to average within groups",
            where=where,
            got=", ".join(space.names),
            fix="predict without groups",
        )
    return tasks


@dataclass(frozen=True, eq=False)
class CheckedRows:
    """Out-of-fold rows averaged within groups where that has a proven gain, and as they are where it has none.

    rows      to score, and to fit decisions on.
    weights   of photos, see `average_groups`; None: the rows are as they are.
    gain      measured on the rows; None where no gain can be measured.
    expected  the gain among the photos to predict.
    """

    rows: Predictions
    weights: PhotoWeights | None = None
    gain: MeasuredGain | None = None
    expected: ExpectedGain | None = None

    @property
    def averaged(self) -> bool:
        """Whether the rows are averaged, and new photos should be."""
        return self.weights is not None


def check_rows(labelled: LabelledPredictions, group_N: Ints, tasks: Sequence[str], *, precision: float) -> CheckedRows:
    """Average out-of-fold rows within groups if the gain to expect among the photos to predict is above 0.

    The gain is measured with groups cut at the folds, and with whole groups; the smaller one is believed, and those
    rows are returned. It is then reduced to the pair precision expected among the photos to predict. The whole interval
    must be above 0. Nothing is averaged where no gain can be measured: fewer than two people, or no row with a label of
    every task.

    labelled   with probabilities, people and folds.
    precision  pair precision expected among the photos to predict, in [0, 1].
    """
    assert labelled.people_N is not None
    assert labelled.prob_NJ is not None
    alone = Predictions(np.asarray(labelled.ids, dtype=np.str_), labelled.prob_NJ, labelled.space)
    known_N = labelled.space.encode(labelled.truth) != UNKNOWN
    if not known_N.any() or len(np.unique(labelled.people_N)) < 2:
        return CheckedRows(alone)
    found = measure_groups(labelled, group_N, parts_of(labelled), tasks)
    expected = found.gain.among(precision)
    if not expected.proven:
        return CheckedRows(alone, None, found.gain, expected)
    return CheckedRows(found.believed, found.weights[found.gain.way], found.gain, expected)


def average_likewise(
    checked: CheckedRows, labelled: LabelledPredictions, group_N: Ints, tasks: Sequence[str]
) -> Predictions:
    """Treat other predictions of the same rows, such as those of one seed, as the checked ones were treated."""
    assert labelled.prob_NJ is not None
    if checked.gain is None or not checked.averaged:
        return Predictions(np.asarray(labelled.ids, dtype=np.str_), labelled.prob_NJ, labelled.space)
    how = rows_by_way(labelled, group_N, tasks)[checked.gain.way]
    return average_rows(labelled, how, parts_of(labelled), tasks)[0]


@dataclass(frozen=True, eq=False)
class GroupAveraging:
    """How predictions are averaged within groups of photos of one person; without groups they are not changed.

    photos   groups of the photos to predict.
    oof      groups of the out-of-fold rows.
    tasks    the tasks that are averaged.
    weights  weight of a photo in its group's mean, see `average_groups`; None = all photos have equal weight.
    """

    photos: Groups | None = None
    oof: Groups | None = None
    tasks: tuple[str, ...] = ()
    weights: PhotoWeights | None = None

    def check_oof(self, prob_NJ: Floats, labelled: LabelledPredictions) -> CheckedRows | None:
        """Average out-of-fold rows (N, J) if that has a gain among the photos; None without groups of the rows."""
        if self.oof is None or self.photos is None:
            return None
        assert labelled.people_N is not None
        group_N, labels = self.oof.group_N, prob_NJ.argmax(axis=1)
        rates = PairRates.of(group_N, pair_quality(group_N, labelled.people_N).precision, len(group_N) / self.oof.parts)
        rows = replace(labelled, prob_NJ=prob_NJ, pred_N=labels)
        return check_rows(rows, group_N, self.tasks, precision=rates.precision_of(self.photos.group_N))

    def with_weights(self, checked: CheckedRows) -> GroupAveraging:
        """Return this with the fitted weights; without groups where averaging has no proven gain."""
        return replace(self, weights=checked.weights) if checked.averaged else GroupAveraging()

    def average_photos(self, predictions: Predictions) -> Predictions:
        """Return the predictions of the photos, averaged within their groups."""
        if self.photos is None:
            return predictions
        return average_groups(predictions, self.photos.group_N, self.tasks, weights=self.weights)

    @property
    def lineage(self) -> UsedGroups | None:
        """The entry `groups` of the lineage; None without groups of the photos."""
        if self.photos is None:
            return None
        weights = None if self.weights is None else dict(self.weights)
        return UsedGroups(sha256=self.photos.sha256, tasks=self.tasks, weights=weights)
