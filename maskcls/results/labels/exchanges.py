"""Faults of labels that every photo has for itself: a wrong one, or those of two photos of a person exchanged.

N photos, C classes. A person has at most one of these faults in a task: none, one photo with a wrong label, or one
exchange. All three are hypotheses about the same photos; each is compared with "no fault" by the ratio of likelihoods.
Where a mask was put on wrongly in one photo and not at all in another, and both files have each other's name, either
photo alone is only suspicious, but both together leave no doubt.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from maskcls.labels import Bools, Ints
from maskcls.results.labels.noise import FEW, Noise
from maskcls.results.labels.suspect import Suspect
from maskcls.results.scores.metrics import Doubles

ROUNDS = 200  # of the fit of the share of people with an exchange


@dataclass(frozen=True, eq=False)
class PhotoTask:
    """Labels of one task by photo; only photos with a known label.

    row_N     (N,) number of the photo in the complete table.
    who_N     (N,) person.
    given_N   (N,) given class.
    prob_NC   (N, C) probabilities at the temperature of `noise`, none 0.
    agreed_N  (N,) whether confident learning finds the label.
    """

    name: str
    row_N: Ints
    who_N: Ints
    given_N: Ints
    prob_NC: Doubles
    agreed_N: Bools
    noise: Noise


@dataclass(frozen=True)
class _Exchange:
    """The photos i and j of a person, by number in the task, whose exchange is the most probable of all."""

    i: int
    j: int
    evidence: float  # mean ratio of likelihoods over all exchanges of the person


def photo_suspects(task: PhotoTask) -> Iterator[Suspect]:
    """Yield the most suspicious fault of each person with at least one photo."""
    ratio_NC = task.prob_NC / task.prob_NC[np.arange(len(task.given_N)), task.given_N][:, None]
    people = [np.flatnonzero(task.who_N == person) for person in np.unique(task.who_N)]
    found = [_best_exchange(rows, task.given_N, ratio_NC) for rows in people]
    share = _exchange_share(np.array([one.evidence for one in found if one is not None]))
    wrong = task.noise.share / (task.prob_NC.shape[1] - 1) / (1 - task.noise.share)
    for rows, exchange in zip(people, found, strict=True):
        single_n = wrong * (ratio_NC[rows].sum(axis=1) - 1)
        both = 0.0 if exchange is None else share / (1 - share) * exchange.evidence
        total = 1 + float(single_n.sum()) + both
        if exchange is not None and both > single_n.max():
            yield _suspect(task, (exchange.i, exchange.j), both / total)
        else:
            worst = int(single_n.argmax())
            yield _suspect(task, (int(rows[worst]),), float(single_n[worst]) / total)


def _suspect(task: PhotoTask, photos: tuple[int, ...], doubt: float) -> Suspect:
    """Return a wrong label of one photo, or an exchange of two."""
    numbers = list(photos)
    given = tuple(task.given_N[numbers].tolist())
    best_n = task.prob_NC[numbers].argmax(axis=1)
    return Suspect(
        kind="exchange" if len(photos) == 2 else "photo",
        task=task.name,
        person=int(task.who_N[photos[0]]),
        rows=tuple(task.row_N[numbers].tolist()),
        given=given,
        better=given[::-1] if len(photos) == 2 else (_other_best(task.prob_NC[photos[0]], given[0]),),
        suspicion=doubt,
        agreed=bool(task.agreed_N[numbers].all()),
        against=int((best_n != task.given_N[numbers]).sum()),
    )


def _other_best(prob_C: Doubles, given: int) -> int:
    return int(np.where(np.arange(len(prob_C)) == given, -1.0, prob_C).argmax())


def _best_exchange(rows: Ints, given_N: Ints, ratio_NC: Doubles) -> _Exchange | None:
    """Return the best exchange of two photos with different labels; None where all labels are equal.

    The ratio of an exchange is a product of one factor per photo, so that the sum over all pairs of two classes is a
    product of two sums.
    """
    best: tuple[float, int, int] | None = None
    total, pairs = 0.0, 0
    for a, b in itertools.combinations(np.unique(given_N[rows]).tolist(), 2):
        of_a, of_b = rows[given_N[rows] == a], rows[given_N[rows] == b]
        as_b, as_a = ratio_NC[of_a, b], ratio_NC[of_b, a]
        total += float(as_b.sum() * as_a.sum())
        pairs += len(of_a) * len(of_b)
        one = (float(as_b.max() * as_a.max()), int(of_a[as_b.argmax()]), int(of_b[as_a.argmax()]))
        best = one if best is None or one[0] > best[0] else best
    return None if best is None else _Exchange(best[1], best[2], total / pairs)


def _exchange_share(evidence_P: Doubles) -> float:
    """Return the share of people with an exchange: expectation maximisation, with the prior of `fit_noise`."""
    share = 1 / FEW
    for _ in range(ROUNDS):
        odds_P = share / (1 - share) * evidence_P
        share = (float((odds_P / (1 + odds_P)).sum()) + 1) / (len(evidence_P) + FEW + 1)
    return share
