"""Average out-of-fold rows within groups as new photos will be averaged, and measure the gain in both ways.

N out-of-fold rows, E elements of a mean, J joint classes. The ways are explained in `stand_ins`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.labels import UNKNOWN, Ints
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.labelled_predictions import LabelledPredictions
from maskcls.results.people.averaging import (
    PhotoWeights,
    average_groups,
    cross_fit_averages,
    fit_photo_weights,
)
from maskcls.results.people.clustering import pair_quality
from maskcls.results.people.expected_gain import MeasuredGain, Way
from maskcls.results.people.stand_ins import GroupRows, cut_rows, whole_rows
from maskcls.results.predictions import Predictions


@dataclass(frozen=True, eq=False)
class GroupedRows:
    """By way: which rows are averaged, the result, and its weights, fitted on all rows; and the gains."""

    rows: dict[Way, GroupRows]
    averaged: dict[Way, Predictions]
    weights: dict[Way, PhotoWeights]
    gain: MeasuredGain

    @property
    def believed(self) -> Predictions:
        """The rows averaged in the way with the smaller gain."""
        return self.averaged[self.gain.way]


def rows_by_way(labelled: LabelledPredictions, group_N: Ints, tasks: Sequence[str]) -> dict[Way, GroupRows]:
    """Return which out-of-fold rows are averaged, in each way; people and folds of the rows must be known."""
    assert labelled.people_N is not None
    assert labelled.fold_N is not None
    space, others = labelled.space, [name for name in labelled.space.names if name not in tasks]
    kind_N = space.only(tasks).encode({name: labelled.truth[name] for name in tasks})
    class_N = np.zeros_like(kind_N)
    if others:
        class_N = space.only(others).encode({name: labelled.truth[name] for name in others})
    whole = whole_rows(group_N, labelled.fold_N, labelled.people_N, kind_N, class_N, seed=labelled.seed)
    return {"cut": cut_rows(group_N, labelled.fold_N), "whole": whole}


def measure_groups(labelled: LabelledPredictions, group_N: Ints, part_N: Ints, tasks: Sequence[str]) -> GroupedRows:
    """Average out-of-fold rows in both ways, with cross-fitted weights, and compare with the rows as they are.

    labelled  with probabilities, people and folds; at least one row has a label of every task.
    group_N   (N,) int, 0 and up, found without the names of the rows' people.
    part_N    (N,) int, as for `cross_fit`; the weights of a part's rows are fitted on the other parts.
    """
    assert labelled.people_N is not None
    by_way = rows_by_way(labelled, group_N, tasks)
    found = {way: average_rows(labelled, how, part_N, tasks) for way, how in by_way.items()}
    right, _ = average_rows(
        labelled, cut_rows(group_N, np.unique(labelled.people_N, return_inverse=True)[1]), part_N, tasks
    )
    gain = MeasuredGain(
        cut=gain_over(labelled, found["cut"][0]),
        whole=gain_over(labelled, found["whole"][0]),
        right_only=gain_over(labelled, right).value,
        precision=pair_quality(group_N, labelled.people_N).precision,
    )
    return GroupedRows(
        by_way,
        {way: rows for way, (rows, _) in found.items()},
        {way: weights for way, (_, weights) in found.items()},
        gain,
    )


def average_rows(
    labelled: LabelledPredictions, how: GroupRows, part_N: Ints, tasks: Sequence[str]
) -> tuple[Predictions, PhotoWeights]:
    """Return the rows averaged with weights fitted on the other parts, and the weights fitted on all rows."""
    elements, truth = _elements(labelled, how)
    part_of = dict(zip(how.group_E.tolist(), part_N.tolist(), strict=False))
    part_E = np.array([part_of[group] for group in how.group_E.tolist()], dtype=np.int64)
    part_E[: len(part_N)] = part_N
    after = cross_fit_averages(elements, truth, how.group_E, part_E, tasks)
    return _own(labelled, after), fit_photo_weights(elements.prob, truth, how.group_E, labelled.space, tasks)


def average_rows_equally(labelled: LabelledPredictions, how: GroupRows, tasks: Sequence[str]) -> Predictions:
    """Return the rows averaged, all photos with equal weight."""
    return _own(labelled, average_groups(_elements(labelled, how)[0], how.group_E, tasks))


def gain_over(labelled: LabelledPredictions, averaged: Predictions) -> Difference:
    """Return the gain in macro-F1 over the rows as they are, with an interval over people."""
    assert labelled.people_N is not None
    true_N, labels = labelled.space.encode(labelled.truth), (labelled.pred_N, averaged.labels())
    return paired_difference(true_N, *labels, labelled.people_N, labelled.space.size)


def _elements(labelled: LabelledPredictions, how: GroupRows) -> tuple[Predictions, dict[str, Ints]]:
    """Return the elements' predictions, and labels that are unknown for stand-ins: these are in the means only."""
    assert labelled.prob_NJ is not None
    own = np.arange(len(how.take_E)) < len(labelled.ids)
    truth = {name: np.where(own, label_N[how.take_E], UNKNOWN) for name, label_N in labelled.truth.items()}
    ids = np.arange(len(how.take_E)).astype(np.str_)
    return Predictions(ids, labelled.prob_NJ[how.take_E], labelled.space), truth


def _own(labelled: LabelledPredictions, elements: Predictions) -> Predictions:
    rows = len(labelled.ids)
    return Predictions(np.asarray(labelled.ids, dtype=np.str_), elements.prob[:rows], labelled.space)
