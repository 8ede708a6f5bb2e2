"""Photos that answer together: the groups of out-of-fold rows and of photos to predict, and how much each photo says.

N out-of-fold rows, J joint classes. torch is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from maskcls import files
from maskcls.data.rows.folds import constant_tasks
from maskcls.data.rows.manifest import real_rows
from maskcls.errors import DataError
from maskcls.labels import Floats, Ints, LabelSpace
from maskcls.results.people.groups import Groups, cross_smoothed, fit_weights, smooth, within
from maskcls.results.predictions import Predictions
from maskcls.results.scores.evaluation import Judged
from maskcls.runs.judged import parts_of


def found_groups(group_N: Ints) -> Groups:
    """Return groups (N,) int64 that no file holds."""
    return Groups(group_N, None, files.sha256(group_N.tobytes()))


def shared_tasks(manifest: pd.DataFrame, space: LabelSpace, *, where: str) -> tuple[str, ...]:
    """Return the tasks in which photos of one person can answer together; DataError when there are none."""
    tasks = constant_tasks(manifest[real_rows(manifest)], space)
    if not tasks:
        raise DataError(
            "no task is the same on all photos of each person, so photos have nothing to answer together",
            where=where,
            got=", ".join(space.names),
            fix="let every photo answer alone",
        )
    return tasks


@dataclass(frozen=True, eq=False)
class Together:
    """Which photos answer together, and in which tasks; nothing is changed where there are no groups.

    photos  groups of the photos to predict, `rows` of the out-of-fold rows.
    """

    photos: Groups | None = None
    rows: Groups | None = None
    tasks: tuple[str, ...] = ()
    weights: Mapping[str, float] | None = None

    def of_rows(self, prob_NJ: Floats, judged: Judged) -> tuple[Floats, Together]:
        """Return out-of-fold rows (N, J) smoothed with weights from other folds, and weights fitted on all of them.

        Rows of different folds never answer together: the networks of one have learnt from the people of the other.
        """
        if self.rows is None:
            return prob_NJ, self
        assert judged.fold_N is not None
        assert judged.people_N is not None
        before = Predictions(np.asarray(judged.ids, dtype=np.str_), prob_NJ, judged.space)
        group_N, truth = within(self.rows.number_N, judged.fold_N), judged.truth
        if len(np.unique(judged.people_N)) < 2:  # nobody else to fit weights on
            return smooth(before, group_N, self.tasks).prob, self
        weights = fit_weights(prob_NJ, truth, group_N, judged.space, self.tasks)
        after = cross_smoothed(before, truth, group_N, parts_of(judged), self.tasks)
        return after.prob, replace(self, weights=weights)

    def of_photos(self, predictions: Predictions) -> Predictions:
        """Return the photos' predictions, smoothed."""
        if self.photos is None:
            return predictions
        return smooth(predictions, self.photos.number_N, self.tasks, weights=self.weights)

    @property
    def about(self) -> dict[str, Any] | None:
        """What the lineage tells."""
        if self.photos is None:
            return None
        weights = None if self.weights is None else dict(self.weights)
        return {"sha256": self.photos.sha256, "tasks": list(self.tasks), "weights": weights}
