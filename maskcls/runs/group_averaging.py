"""Group averaging in a run: which photos are averaged, in which tasks and with which weights.

N out-of-fold rows, J joint classes. torch is not imported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from maskcls import files
from maskcls.data.rows.manifest import person_tasks, real_rows
from maskcls.errors import DataError
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.people.averaging import (
    PhotoWeights,
    average_groups,
    cross_fit_averages,
    fit_photo_weights,
    split_groups,
)
from maskcls.results.people.group_file import Groups
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

    def average_oof(self, prob_NJ: Floats, labelled: LabelledPredictions) -> tuple[Floats, GroupAveraging]:
        """Return out-of-fold rows (N, J) averaged with cross-fitted weights, and this with weights fitted on all rows.

        Rows of different folds are never averaged: each fold's network was trained on the people of the others.
        """
        if self.oof is None:
            return prob_NJ, self
        assert labelled.fold_N is not None
        assert labelled.people_N is not None
        before = Predictions(np.asarray(labelled.ids, dtype=np.str_), prob_NJ, labelled.space)
        group_N, truth = split_groups(self.oof.group_N, labelled.fold_N), labelled.truth
        if len(np.unique(labelled.people_N)) < 2:  # no other people to fit weights on
            return average_groups(before, group_N, self.tasks).prob, self
        weights = fit_photo_weights(prob_NJ, truth, group_N, labelled.space, self.tasks)
        after = cross_fit_averages(before, truth, group_N, parts_of(labelled), self.tasks)
        return after.prob, replace(self, weights=weights)

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
