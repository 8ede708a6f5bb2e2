"""Agreement of predictions on photos of one person, and the score if they were averaged.

N rows (photos), P people, C classes, J joint classes, G joint classes of the tasks that do not vary within a person.
Gender and age do not vary within a person, so two photos of one person with different predictions hold an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import UNKNOWN, Ints, LabelSpace, constant_tasks
from maskcls.results.scores.metrics import Scores, score


@dataclass(frozen=True)
class Agreement:
    """Of the people with two photos or more; shares in [0, 1].

    pairs  how often two photos of a person are given the same class; each person counts once.
    whole  share of the people all of whose photos are given the same class.
    """

    pairs: float
    whole: float


@dataclass(frozen=True)
class Consistency:
    """Agreement within people, by task that does not vary within a person, and in all of those tasks together.

    people    people with two photos or more.
    tasks     {task: its agreement}.
    together  two photos agree when they do in every one of these tasks.
    averaged  the scores if each person's predictions in these tasks were averaged over the person's photos: an upper
              limit, because people are not known when new photos are predicted.
    """

    people: int
    tasks: Mapping[str, Agreement]
    together: Agreement
    averaged: Scores

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        tasks = {name: asdict(one) for name, one in self.tasks.items()}
        averaged = self.averaged.to_json()
        scores = {"macro_f1": averaged["macro_f1"], "accuracy": averaged["accuracy"]}
        scores["tasks"] = {name: one["macro_f1"] for name, one in averaged["tasks"].items()}
        return {"people": self.people, "tasks": tasks, "together": asdict(self.together), "averaged": scores}


def consistency(
    pred_N: Ints,
    truth: Mapping[str, Ints],
    space: LabelSpace,
    people_N: NDArray[Any],
    prob_NJ: NDArray[Any] | None = None,
) -> Consistency | None:
    """Compare the predictions of each person's photos; None when no person has two photos, or every task varies.

    pred_N    (N,) joint labels 0..J-1.
    truth     {task: (N,) int}, every task; -1 = unknown. It determines which tasks do not vary within a
              person, and scores the averaged predictions; photos with unknown labels are compared like all others.
    people_N  (N,) the person on each row.
    prob_NJ   what is averaged; None: the photos vote, a tie goes to the lowest class.
    """
    who_N = np.unique(people_N, return_inverse=True)[1]
    known = [name for name, label_N in truth.items() if (label_N != UNKNOWN).any()]
    names = [name for name in constant_tasks(truth, who_N, space) if name in known]
    photos_P = np.bincount(who_N)
    if not names or not (photos_P > 1).any():
        return None
    parts, shared = space.decode(pred_N), space.only(names)
    return Consistency(
        people=int((photos_P > 1).sum()),
        tasks={name: person_agreement(parts[name], who_N) for name in names},
        together=person_agreement(shared.encode(parts), who_N),
        averaged=score(person_averaged(pred_N, who_N, space, shared, prob_NJ), truth, space),
    )


def person_agreement(label_N: Ints, who_N: Ints) -> Agreement:
    """Compare the labels (N,), 0 and more, of the rows of each person (N,), 0..P-1; two rows of some person at least.

    >>> person_agreement(np.array([0, 0, 1, 2, 2, 5]), np.array([0, 0, 0, 1, 1, 2]))  # 1 pair of 3, 1 of 1
    Agreement(pairs=0.6666666666666666, whole=0.5)
    """
    classes = int(label_N.max()) + 1
    counts_PC = np.bincount(who_N * classes + label_N, minlength=(int(who_N.max()) + 1) * classes)
    counts_PC = counts_PC.reshape(-1, classes)
    counts_PC = counts_PC[counts_PC.sum(axis=1) > 1]
    photos_P = counts_PC.sum(axis=1)
    same_P = (counts_PC * (counts_PC - 1)).sum(axis=1) / (photos_P * (photos_P - 1))
    return Agreement(float(same_P.mean()), float((counts_PC.max(axis=1) == photos_P).mean()))


def person_averaged(
    pred_N: Ints, who_N: Ints, space: LabelSpace, shared: LabelSpace, prob_NJ: NDArray[Any] | None
) -> Ints:
    """Return joint labels (N,) whose part in the tasks of `shared` is the most probable of the person's mean.

    The other tasks keep the photo's own label. prob_NJ None: every photo votes for its label.
    """
    votes_NJ = np.eye(space.size)[pred_N] if prob_NJ is None else np.asarray(prob_NJ, dtype=np.float64)
    grid = votes_NJ.reshape(-1, *space.shape)
    summed = tuple(axis for axis, name in enumerate(space.names, 1) if name not in shared.names)
    votes_NG = grid.sum(axis=summed).reshape(len(pred_N), shared.size)
    total_GP = np.stack([np.bincount(who_N, weights=votes_N) for votes_N in votes_NG.T])
    best_N = np.argmax(total_GP, axis=0)[who_N].astype(np.int64)
    return space.encode({**space.decode(pred_N), **shared.decode(best_N)})
