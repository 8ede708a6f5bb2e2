"""A learning curve: the error by the number of people, and what more people would give.

The error of a network falls with the number of training people n as e(n) = a + b n ** -c, a power law with a floor
(Hestness et al. 2017, arXiv:1712.00409). Three numbers from a handful of points are uncertain. The interval comes from
fitting again to other points: people are resampled; every point gets the noise of a training (measured between those
of one size) and that of the law itself (the distance of the points from it); and every second fit is without the
smallest size, where a network may not have begun to learn. S sizes, P validation people, D draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maskcls.results.scores.metrics import Doubles, share_of

EXPONENTS = np.arange(0.05, 1.55, 0.05)  # of measured curves most lie within 0.07 and 0.35, none above 1
DRAWS = 300
LEVEL = 0.95
OF_ALL = 0.95  # of the people: a class that as many have is one of everybody
FEWEST_SIZES = 3  # a curve with three numbers; fewer sizes fit any of them


@dataclass(frozen=True, eq=False)
class Trained:
    """One training on a part of the people, and its hits on the held-out people.

    people  number of people it was trained on; of_class_C: with at least one photo of each class (C,).
    hits_PC, marks_PC  (P, C) as in `person_counts`, the same P people and C classes in every training.
    """

    people: int
    of_class_C: NDArray[np.int64]
    hits_PC: Doubles
    marks_PC: Doubles


@dataclass(frozen=True)
class Projection:
    """What more training people would give: a gain in macro-F1, with a 95 % interval.

    what    "all" for twice the people of every class, else the class with twice the people.
    people  how many people that would be.
    """

    what: str
    people: int
    gain: float
    low: float
    high: float

    @property
    def told(self) -> bool:
        """Whether the measurement tells that there is a gain."""
        return self.low > 0


@dataclass(frozen=True)
class Curve:
    """A learning curve of one labelling.

    name    a task, or "joint".
    people  (S,) training people; error: (S,) mean of 1 - macro-F1 over the trainings of a size.
    trainings  (S,) how many trainings that were.
    law     (a, b, c) of e(n) = a + b n ** -c.
    twice   what twice the people would give; classes: what twice the people of one class would, by class.
    """

    name: str
    people: tuple[int, ...]
    error: tuple[float, ...]
    trainings: tuple[int, ...]
    law: tuple[float, float, float]
    twice: Projection
    classes: tuple[Projection, ...]


def fit_power_law(n_S: Doubles, error_S: Doubles, weight_S: Doubles) -> tuple[float, float, float]:
    """Return (a, b, c) of the power law with the least weighted square error; a and b are 0 or more.

    n_S  people, above 0; error_S: errors in [0, 1]; weight_S: weights above 0.

    >>> n = np.array([10.0, 20.0, 40.0, 80.0])
    >>> a, b, c = fit_power_law(n, 0.2 + 0.9 * n**-0.5, np.ones(4))
    >>> round(a, 3), round(b, 3), round(c, 3)
    (0.2, 0.9, 0.5)
    """
    x_ES = n_S ** -EXPONENTS[:, None]
    share_S = weight_S / weight_S.sum()
    mean_E, mean = x_ES @ share_S, error_S @ share_S
    spread_E = ((x_ES - mean_E[:, None]) ** 2) @ share_S
    slope_E = ((x_ES - mean_E[:, None]) * (error_S - mean)) @ share_S / np.maximum(spread_E, 1e-300)
    b_E = np.maximum(slope_E, 0)
    a_E = mean - b_E * mean_E
    steep_E = a_E < 0  # the best line through the origin instead
    b_E = np.where(steep_E, (x_ES * error_S) @ share_S / (x_ES**2 @ share_S), b_E)
    a_E = np.where(steep_E, 0.0, a_E)
    loss_E = (a_E[:, None] + b_E[:, None] * x_ES - error_S) ** 2 @ share_S
    best = int(np.argmin(loss_E))
    return float(a_E[best]), float(b_E[best]), float(EXPONENTS[best])


def predicted_error(law: tuple[float, float, float], people: float) -> float:
    """Return the error e(n) of a power law."""
    a, b, c = law
    return float(a + b * people**-c)


def learning_curve(name: str, classes: Sequence[str], trained: Sequence[Trained], *, seed: int) -> Curve | None:
    """Return the curve and its projections; None where fewer than three sizes were trained.

    The gain from one class assumes that the F1 of a class depends on the number of its own people alone; the nested
    subsets change all classes together, so this cannot be measured on them.
    """
    sizes = sorted({one.people for one in trained})
    if len(sizes) < FEWEST_SIZES:
        return None
    groups = [[one for one in trained if one.people == size] for size in sizes]
    n_S, count_S = np.array(sizes, dtype=np.float64), np.array([len(group) for group in groups], dtype=np.float64)
    own_SC = np.array([np.mean([one.of_class_C for one in group], axis=0) for group in groups])
    rng, people = np.random.default_rng(seed), len(trained[0].hits_PC)
    error_S, error_SC = _errors(groups, np.ones(people))
    points = _Points(n_S, own_SC, count_S, np.column_stack([error_S, error_SC]))
    noise = points.noise(groups)
    drawn = []
    for draw in range(DRAWS):
        resampled = np.column_stack(_errors(groups, _person_weights(people, rng)))
        resampled = resampled + noise * rng.standard_normal(resampled.shape)
        drawn.append(replace(points, error_SL=resampled).gains(first=draw % 2 if len(sizes) > FEWEST_SIZES else 0))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    people_of = [2 * sizes[-1], *(2 * round(own) for own in own_SC[-1])]
    found = [
        Projection(what, int(n), *(float(part[i]) for part in (points.gains(), low, high)))
        for i, (what, n) in enumerate(zip(["all", *classes], people_of, strict=True))
    ]
    law = fit_power_law(n_S, error_S, count_S)
    # Twice the people of a class that everybody has are twice the people.
    own = [one for c, one in enumerate(found[1:]) if 0 < own_SC[-1][c] < OF_ALL * sizes[-1]]
    count = tuple(len(group) for group in groups)
    return Curve(name, tuple(sizes), tuple(error_S.tolist()), count, law, found[0], tuple(own))


@dataclass(frozen=True, eq=False)
class _Points:
    """The points of a curve: people (S,), people of each class (S, C), trainings (S,), errors (S, 1 + C), all first."""

    n_S: Doubles
    own_SC: Doubles
    count_S: Doubles
    error_SL: Doubles

    @property
    def people_by_line(self) -> Doubles:
        return np.maximum(np.column_stack([self.n_S, self.own_SC]), 0.5)

    def gains(self, first: int = 0) -> Doubles:
        """Return the gain in macro-F1 of doubling, of all and of each class, from the sizes from `first` on."""
        shares = np.append(1.0, np.full(self.own_SC.shape[1], 1 / self.own_SC.shape[1]))
        columns = zip(self.people_by_line[first:].T, self.error_SL[first:].T, shares, strict=True)
        return np.array([share * _doubling(n_S, error_S, self.count_S[first:]) for n_S, error_S, share in columns])

    def noise(self, groups: Sequence[Sequence[Trained]]) -> Doubles:
        """Return the standard deviation (S, 1 + C) of a point: of its trainings, and of the law."""
        once = np.ones(len(groups[0][0].hits_PC))
        single = [[np.append(*_errors([[one]], once)) for one in group] for group in groups]
        several = [np.var(group, axis=0, ddof=1) for group in single if len(group) > 1]
        between_L = np.mean(several, axis=0) if several else np.zeros(self.error_SL.shape[1])
        rest_L = np.array(
            [_residual(*column, self.count_S) for column in zip(self.people_by_line.T, self.error_SL.T, strict=True)]
        )
        found: Doubles = np.sqrt(between_L / self.count_S[:, None] + rest_L)
        return found


def _residual(n_S: Doubles, error_S: Doubles, weight_S: Doubles) -> float:
    """Return the mean square distance of the points from their law; of three numbers, two fit any points."""
    a, b, c = fit_power_law(n_S, error_S, weight_S)
    return float(((a + b * n_S**-c - error_S) ** 2).sum() / max(1, len(n_S) - 2))


def _errors(groups: Sequence[Sequence[Trained]], weight_P: Doubles) -> tuple[Doubles, Doubles]:
    """Return 1 - macro-F1 (S,) and 1 - F1 per class (S, C), the mean over the trainings of each size."""
    f1_SC = np.array(
        [
            np.mean([share_of(2 * (weight_P @ one.hits_PC), weight_P @ one.marks_PC) for one in group], axis=0)
            for group in groups
        ]
    )
    there_C = sum(one.marks_PC.sum(axis=0) for group in groups for one in group) > 0
    return 1 - f1_SC[:, there_C].mean(axis=1), 1 - f1_SC


def _doubling(n_S: Doubles, error_S: Doubles, weight_S: Doubles) -> float:
    law = fit_power_law(n_S, error_S, weight_S)
    return predicted_error(law, n_S[-1]) - predicted_error(law, 2 * n_S[-1])


def _person_weights(people: int, rng: np.random.Generator) -> Doubles:
    return np.bincount(rng.integers(people, size=people), minlength=people).astype(np.float64)


def nested_order(stratum_P: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """Return an order of P people whose every beginning has the strata in about their shares: nested subsets.

    stratum_P  (P,) a number for each person, such as of gender and age.

    >>> order = nested_order(np.array([0, 0, 0, 0, 1, 1]), seed=0)
    >>> np.bincount(np.array([0, 0, 0, 0, 1, 1])[order[:3]]).tolist()
    [2, 1]
    """
    rng = np.random.default_rng(seed)
    place_P = np.zeros(len(stratum_P))
    for stratum in np.unique(stratum_P):
        here = np.flatnonzero(stratum_P == stratum)
        place_P[rng.permutation(here)] = (np.arange(len(here)) + 0.5) / len(here)
    return np.lexsort((rng.random(len(place_P)), place_P)).astype(np.int64)
