"""Several comparisons on the same people: how likely is the largest of them by chance?

k comparisons, P people.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.results.comparison.difference import Difference
from maskcls.results.scores.influence import Influence
from maskcls.results.scores.intervals import LEVEL
from maskcls.results.scores.metrics import Doubles

DRAWS = 20_000  # of the largest t: the standard error of a p-value of 0.05 is 0.0015


@dataclass(frozen=True)
class Simultaneous:
    """A difference among several: its interval covers together with those of all others; p is corrected for them."""

    difference: Difference
    p: float


def holm(p_k: Sequence[float]) -> list[float]:
    """Return Holm's corrected p-values: at most a share p of families without any difference has one as small.

    Reference: Holm 1979, Scandinavian Journal of Statistics 6. It holds however the comparisons depend on each other.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(p_k), 0.0
    for place, number in enumerate(sorted(range(len(p_k)), key=lambda i: p_k[i])):
        largest = max(largest, min(1.0, (len(p_k) - place) * p_k[number]))
        corrected[number] = largest
    return corrected


def family_level(tried: int, level: float = LEVEL) -> float:
    """Return the level of each of several intervals that together cover at `level` (Bonferroni).

    >>> family_level(1), round(family_level(5), 4)
    (0.95, 0.99)
    """
    return 1 - (1 - level) / tried


def simultaneous(found: Sequence[Influence], *, level: float = LEVEL, seed: int = 0) -> list[Simultaneous]:
    """Return intervals that cover all k differences at once, by the distribution of their largest |t|.

    Reference: Hothorn, Bretz and Westfall 2008, Biometrical Journal 50: the correlations between the differences, here
    of the people's effects, make this narrower than Holm's correction. The largest of correlated t-distributed numbers
    is drawn `DRAWS` times, always the same for a seed.

    found  differences of the same P people.
    """
    people = found[0].people
    if people < 2:
        return [Simultaneous(Difference(one.value, -1.0, 1.0, 0.5, level), 1.0) for one in found]
    se_k = np.sqrt([one.variance + one.few for one in found])
    largest_D = _largest_t(np.stack([one.effect_P for one in found]), se_k, people, seed)
    reach = float(np.quantile(largest_D, level))
    return [_simultaneous(one, float(se), reach, largest_D, level) for one, se in zip(found, se_k, strict=True)]


def _simultaneous(one: Influence, se: float, reach: float, largest_D: Doubles, level: float) -> Simultaneous:
    if se == 0:  # the same answers
        return Simultaneous(Difference(0.0, 0.0, 0.0, 0.5, level), 1.0)
    p = (1 + int((largest_D >= abs(one.value) / se).sum())) / (1 + len(largest_D))
    ends = max(-1.0, one.value - reach * se), min(1.0, one.value + reach * se)
    return Simultaneous(Difference(one.value, *ends, p / 2 if one.value < 0 else 1 - p / 2, level), p)


def _largest_t(effect_kP: Doubles, se_k: Doubles, people: int, seed: int) -> Doubles:
    """Draw the largest absolute value of k correlated t-distributed numbers, (D,)."""
    se_k = np.where(se_k > 0, se_k, math.inf)
    correlation_kk = effect_kP @ effect_kP.T * people / (people - 1) / np.outer(se_k, se_k)
    np.fill_diagonal(correlation_kk, 1.0)  # the people added per class make each less certain, and less similar
    value_k, vector_kk = np.linalg.eigh(correlation_kk)
    root_kk = vector_kk * np.sqrt(np.maximum(value_k, 0))
    rng = np.random.default_rng(seed)
    normal_Dk = rng.standard_normal((DRAWS, len(se_k))) @ root_kk.T
    scale_D = np.sqrt(rng.chisquare(people - 1, DRAWS) / (people - 1))
    largest_D: Doubles = np.abs(normal_Dk).max(axis=1) / scale_D
    return largest_D
