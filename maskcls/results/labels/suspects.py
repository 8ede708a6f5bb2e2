"""Suspected faults of the given labels, ranked.

N photos, P people, C classes of a task. Which task has one label per person, and which one per photo, is found in the
labels. All photos of a person speak together about a label of the person. They are similar, so that they count as one
observation. Labels per photo: see `exchanges`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from maskcls.labels import UNKNOWN, Bools, Ints, LabelSpace, Task
from maskcls.results.decisions.calibration import Probabilities
from maskcls.results.labels.borders import NEAR_YEARS, far_classes, other_classes
from maskcls.results.labels.exchanges import PhotoTask, photo_suspects
from maskcls.results.labels.noise import agreed_issues, fit_noise, suspicion
from maskcls.results.labels.pooling import person_mean, pooled
from maskcls.results.labels.suspect import Suspect, ranked
from maskcls.results.scores.metrics import Doubles

PER_PERSON = 0.9  # share of the people whose photos have equal labels from which a task has one label per person


def find_suspects(
    parts: Sequence[tuple[Ints, Probabilities]],
    given: Mapping[str, Ints],
    values: Mapping[str, Ints],
    who_N: Ints,
    space: LabelSpace,
    *,
    near: int = NEAR_YEARS,
) -> list[Suspect]:
    """Return the suspects of all tasks, the most suspicious first: at most one per person and task.

    parts   per run, the photos it predicts (M,) as numbers 0..N-1, and joint probabilities (M, J) of networks that were
            not trained on these people. Every photo must be predicted by a run.
    given   {task: (N,) int}, every task; -1 = unknown; a photo without a label has no suspect.
    values  {task: (N,) int} of tasks with bins, such as years; -1 = unknown.
    who_N   (N,) the person on each photo, 0..P-1, each occurs.
    near    a class nearer than this to the given value is no fault, see `far_classes`.
    """
    marginals = [(rows_M, space.marginals(np.asarray(prob_MJ, dtype=np.float32))) for rows_M, prob_MJ in parts]
    found: list[Suspect] = []
    for task in space.tasks:
        if (given[task.name] == UNKNOWN).all() or len(task.classes) < 2:
            continue
        prob_NC = pooled([(rows_M, each[task.name]) for rows_M, each in marginals], given[task.name])
        value_N = values.get(task.name, np.full(len(who_N), UNKNOWN))
        find = _person_task if is_per_person(given[task.name], who_N) else _photo_task
        found += find(task, prob_NC, given[task.name], value_N, who_N, near)
    return ranked(found)


def is_per_person(given_N: Ints, who_N: Ints) -> bool:
    """Tell whether at least nine in ten people with two labels or more have equal ones; False where nobody has two."""
    known_N = given_N != UNKNOWN
    lowest_P, highest_P, count_P = _spread(given_N[known_N], who_N[known_N])
    several_P = count_P > 1
    return bool(several_P.any()) and float((lowest_P == highest_P)[several_P].mean()) >= PER_PERSON


def _person_task(
    task: Task, prob_NC: Doubles, given_N: Ints, value_N: Ints, who_N: Ints, near: int
) -> Iterator[Suspect]:
    known_N = given_N != UNKNOWN
    people_U, unit_N = np.unique(who_N[known_N], return_inverse=True)
    own_N, row_N = given_N[known_N], np.flatnonzero(known_N)
    prob_UC = person_mean(prob_NC[known_N], unit_N)
    lowest_U, highest_U, _ = _spread(own_N, unit_N)
    equal_U = lowest_U == highest_U
    first_U = np.unique(unit_N, return_index=True)[1]
    fault_UC = _fault_classes(task, lowest_U, value_N[known_N][first_U], near)
    noise = fit_noise(prob_UC[equal_U], lowest_U[equal_U], fault_UC[equal_U])
    doubt_U = suspicion(noise, prob_UC, fault_UC)
    agreed_U = np.zeros(len(equal_U), dtype=bool)
    agreed_U[equal_U] = agreed_issues(prob_UC[equal_U], lowest_U[equal_U], fault_UC[equal_U])
    better_U = np.where(fault_UC, prob_UC, -1.0).argmax(axis=1)
    best_N = prob_NC[known_N].argmax(axis=1)
    for unit, person in enumerate(people_U.tolist()):
        mine = np.flatnonzero(unit_N == unit)
        if not equal_U[unit]:
            yield _contradiction(task, person, row_N[mine], own_N[mine], prob_UC[unit], best_N[mine])
        elif fault_UC[unit].any():
            yield Suspect(
                kind="person",
                task=task.name,
                person=person,
                rows=tuple(row_N[mine].tolist()),
                given=tuple(own_N[mine].tolist()),
                better=(int(better_U[unit]),) * len(mine),
                suspicion=float(doubt_U[unit]),
                agreed=bool(agreed_U[unit]),
                against=int((best_N[mine] != own_N[mine]).sum()),
            )


def _contradiction(task: Task, person: int, row_n: Ints, own_n: Ints, prob_C: Doubles, best_n: Ints) -> Suspect:
    """Propose, for all photos, the class that occurs among the labels and is the most probable; it is wrong somewhere.

    A label of many photos is likelier than one of few: the probabilities are multiplied by the share of the labels.
    """
    votes_C = np.bincount(own_n, minlength=len(task.classes))
    better = int((votes_C * prob_C).argmax())
    given, rows = tuple(own_n.tolist()), tuple(row_n.tolist())
    against = int((best_n != own_n).sum())
    return Suspect("contradiction", task.name, person, rows, given, (better,) * len(rows), 1.0, True, against)


def _photo_task(
    task: Task, prob_NC: Doubles, given_N: Ints, value_N: Ints, who_N: Ints, near: int
) -> Iterator[Suspect]:
    row_N = np.flatnonzero(given_N != UNKNOWN)
    own_N, prob_NC = given_N[row_N], prob_NC[row_N]
    fault_NC = _fault_classes(task, own_N, value_N[row_N], near)
    noise = fit_noise(prob_NC, own_N, fault_NC)
    scaled_NC = noise.scaled(prob_NC)
    agreed_N = agreed_issues(prob_NC, own_N, fault_NC)
    # A class that is no fault, such as that beyond a near border, speaks for the given label.
    own_NC = other_classes(own_N, len(task.classes))
    mild_N = (scaled_NC * (own_NC & ~fault_NC)).sum(axis=1)
    scaled_NC = np.where(own_NC & ~fault_NC, 0.0, scaled_NC)
    scaled_NC[np.arange(len(own_N)), own_N] += mild_N
    yield from photo_suspects(PhotoTask(task.name, row_N, who_N[row_N], own_N, scaled_NC, agreed_N, noise))


def _fault_classes(task: Task, given_U: Ints, value_U: Ints, near: int) -> Bools:
    other_UC = other_classes(given_U, len(task.classes))
    return other_UC & far_classes(value_U, task, near=near) if task.bins else other_UC


def _spread(given_N: Ints, who_N: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the lowest and the highest label and the number of labels of each person, (P,) each."""
    people = int(who_N.max()) + 1 if len(who_N) else 0
    lowest_P, highest_P = np.full(people, np.iinfo(np.int64).max), np.full(people, -1)
    np.minimum.at(lowest_P, who_N, given_N)
    np.maximum.at(highest_P, who_N, given_N)
    return lowest_P, highest_P, np.bincount(who_N, minlength=people)
