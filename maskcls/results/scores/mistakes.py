"""Wrong predictions: the most confident ones, those whose true class got the lowest probability, and who is wrong most.

N rows (photos), C classes, P people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Bools, Floats, Ints, LabelSpace
from maskcls.results.labelled_predictions import LabelledPredictions

JOINT = ""  # in the place of a task's name


@dataclass(frozen=True, eq=False)
class LabelledClasses:
    """The predictions of one task, or of the joint classes, with the true classes.

    prob_NC  float32, rows sum to 1. true_N, pred_N: (N,) int64, -1 = unknown.
    """

    names: Sequence[str]
    prob_NC: Floats
    true_N: Ints
    pred_N: Ints

    @property
    def wrong(self) -> Bools:
        """Whether the true class of each row is known and another one was predicted."""
        wrong_N: Bools = (self.true_N != UNKNOWN) & (self.true_N != self.pred_N)
        return wrong_N

    @property
    def prob_true(self) -> NDArray[np.float64]:
        """The probability of the true class of each row; NaN where it is unknown."""
        return np.where(self.true_N == UNKNOWN, np.nan, _at(self.prob_NC, self.true_N))


@dataclass(frozen=True)
class WrongPhoto:
    """One wrong prediction.

    row                        its number.
    true, predicted            class names.
    prob_true, prob_predicted  their probabilities.
    same_mistake               photos of this person with the same true and predicted class, this one included.
    photos                     photos of this person.
    """

    row: int
    true: str
    predicted: str
    prob_true: float
    prob_predicted: float
    same_mistake: int
    photos: int


@dataclass(frozen=True)
class WrongPerson:
    """A person's photos: how many, how many have a wrong joint class, by task too, and their mean joint log loss."""

    person: str
    photos: int
    wrong: int
    by_task: Mapping[str, int]
    log_loss: float


def classes_of(labelled: LabelledPredictions, task: str) -> LabelledClasses:
    """Return the rows of one task, or of the joint classes (JOINT); KeyError for another name.

    The class of a task is its part of the predicted joint class, as in the scores.
    """
    assert labelled.prob_NJ is not None
    space = labelled.space
    if task == JOINT:
        return LabelledClasses(space.joint_names, labelled.prob_NJ, space.encode(labelled.truth), labelled.pred_N)
    names, prob_NC = space.task(task).classes, space.marginals(labelled.prob_NJ)[task]
    return LabelledClasses(names, prob_NC, labelled.truth[task], space.decode(labelled.pred_N)[task])


def most_confident_wrong(found: LabelledClasses, people_N: Sequence[str] | NDArray[Any], most: int) -> list[WrongPhoto]:
    """Return the wrong rows whose predicted class has the highest probability, one per person."""
    return _first_of_each(found, people_N, -_at(found.prob_NC, found.pred_N), most)


def least_probable_true(found: LabelledClasses, people_N: Sequence[str] | NDArray[Any], most: int) -> list[WrongPhoto]:
    """Return the wrong rows whose true class has the lowest probability, so the highest log loss, one per person."""
    return _first_of_each(found, people_N, _at(found.prob_NC, found.true_N), most)


def mistaken_people(labelled: LabelledPredictions, most: int) -> list[WrongPerson]:
    """Return the people with the most wrong joint classes; of equally many, the highest log loss first.

    Rows without a label of every task do not count. Empty where nobody is known.
    """
    if labelled.people_N is None:
        return []
    joint, space = classes_of(labelled, JOINT), labelled.space
    known_N = joint.true_N != UNKNOWN
    people, who_N = np.unique(labelled.people_N[known_N], return_inverse=True)
    parts = space.decode(labelled.pred_N)
    counts = {name: _count(who_N, (parts[name] != labelled.truth[name])[known_N], len(people)) for name in space.names}
    wrong_P, photos_P = _count(who_N, joint.wrong[known_N], len(people)), np.bincount(who_N, minlength=len(people))
    smallest = np.finfo(np.float32).tiny  # a probability of 0 has a finite log loss
    loss_N = -np.log(np.maximum(joint.prob_true[known_N], smallest))
    loss_P = np.bincount(who_N, loss_N, minlength=len(people)) / photos_P
    order = np.lexsort((-loss_P, -wrong_P))[:most].tolist()
    return [
        WrongPerson(
            str(people[p]),
            int(photos_P[p]),
            int(wrong_P[p]),
            {name: int(count_P[p]) for name, count_P in counts.items()},
            float(loss_P[p]),
        )
        for p in order
        if wrong_P[p]
    ]


def probabilities_by_task(prob_NJ: Floats, space: LabelSpace, row: int) -> dict[str, dict[str, float]]:
    """Return the probability of every class of every task in one row: {task: {class: probability}}."""
    found = space.marginals(prob_NJ[row : row + 1])
    return {task.name: dict(zip(task.classes, map(float, found[task.name][0]), strict=True)) for task in space.tasks}


def _first_of_each(
    found: LabelledClasses, people_N: Sequence[str] | NDArray[Any], key_N: NDArray[Any], most: int
) -> list[WrongPhoto]:
    """Return the wrong rows by rising key, and of each person only the first."""
    people = [str(person) for person in people_N]
    rows = np.flatnonzero(found.wrong)
    rows = rows[np.argsort(key_N[rows], kind="stable")]
    first: dict[str, int] = {}
    for row in rows.tolist():
        if len(first) == most:
            break
        first.setdefault(people[row], row)
    who_N = np.array(people)
    return [_mistake(found, who_N == people[row], row) for row in first.values()]


def _mistake(found: LabelledClasses, same_N: Bools, row: int) -> WrongPhoto:
    true, predicted = int(found.true_N[row]), int(found.pred_N[row])
    alike_N = same_N & (found.true_N == true) & (found.pred_N == predicted)
    prob_C = found.prob_NC[row]
    return WrongPhoto(
        row,
        found.names[true],
        found.names[predicted],
        float(prob_C[true]),
        float(prob_C[predicted]),
        int(alike_N.sum()),
        int(same_N.sum()),
    )


def _at(prob_NC: Floats, class_N: Ints) -> NDArray[np.float64]:
    """Return the probability of one class per row, that of class 0 where it is unknown."""
    rows = np.take_along_axis(prob_NC, np.maximum(class_N, 0)[:, None], axis=1)
    return rows[:, 0].astype(np.float64)


def _count(who_N: Ints, which_N: Bools, people: int) -> Ints:
    return np.bincount(who_N[which_N], minlength=people).astype(np.int64)
