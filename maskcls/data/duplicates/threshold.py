"""The score above which two photos count as copies, fitted on the data set's own pairs, with its error rates.

Z transformed scores. A pair of two people, or of two shots of one person, is no copy, except for the few that are to be
found. So the upper tail of such pairs' scores gives the number of false pairs above any threshold; made copies of the
data set's photos give the share of copies above it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALLOWED = 0.5  # false pairs in the whole data set, by the upper end of the interval of their expected number
TAIL = 0.10  # share of the positive scores that form the tail
FEWEST = 10  # scores of a tail that can be fitted
LOWEST_COPIES = 0.01  # this share of the made copies may lie below the threshold, if the tail allows
STEEPEST = 1e3  # ratio of a tail's mean to its length, above which the tail is flat
NORMAL_95 = 1.959964

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """A threshold with its error rates.

    score          pairs of at least this agreement are reported.
    pairs          number of pairs it is applied to.
    false_pairs    expected number of pairs above it that are no copies, by the tail's fit; None where there are too few
                   pairs to fit one, and the threshold comes from the made copies alone.
    low, high      95 % interval of that number.
    copies, found  made copies, and how many of them were found.
    """

    score: float
    pairs: int
    false_pairs: float | None
    low: float | None
    high: float | None
    copies: int
    found: int

    @property
    def rate(self) -> float | None:
        """False pairs per compared pair, in [0, 1]."""
        return None if self.false_pairs is None else self.false_pairs / max(self.pairs, 1)

    @property
    def recall(self) -> tuple[float, float, float]:
        """Share of the made copies that were found, and its 95 % interval (Clopper and Pearson 1934, Biometrika 26)."""
        return self.found / max(self.copies, 1), *exact_interval(self.found, self.copies)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        share, low, high = self.recall
        return asdict(self) | {"rate": self.rate, "recall": {"value": share, "low": low, "high": high}}


@dataclass(frozen=True)
class Tail:
    """The exponential upper tail of transformed scores: `count` of them exceed `start`, by `mean` on average.

    error  standard error of the mean, as a share of it.
    """

    start: float
    mean: float
    count: float
    error: float

    def expected_above(self, z: float, *, deviations: float = 0.0) -> float:
        """Return how many scores are expected above z; `deviations`: with a mean that many standard errors larger."""
        return float(self.count * np.exp(-max(z - self.start, 0.0) / self._mean(deviations)))

    def above(self, expected: float, *, deviations: float) -> float:
        """Return the z above which so many scores are expected, the inverse of `expected_above`."""
        return self.start + self._mean(deviations) * float(np.log(max(self.count / expected, 1.0)))

    def _mean(self, deviations: float) -> float:
        return self.mean * max(1 + deviations * self.error, 1e-6)


def transformed(score: NDArray[Any]) -> Doubles:
    """Return Fisher's transform artanh of scores, cut off at 0 and below 1; their tail is nearly exponential."""
    return np.arctanh(np.clip(np.asarray(score, np.float64), 0.0, 1 - 1e-6))


def fit_threshold(
    natural_P: NDArray[Any], copy_C: NDArray[Any], *, pairs: int, found_C: NDArray[np.bool_]
) -> Threshold:
    """Fit the threshold for pairs of one kind.

    natural_P  (P,) scores of the pairs that were compared in detail; all others are far below them.
    copy_C     (C,) scores of made copies with their originals; at least one.
    pairs      number of all pairs of this kind.
    found_C    (C,) bool, whether the search by hashes proposed the made copy; a copy counts as found if it is also
               above the threshold.

    It is the score above which at most ALLOWED false pairs are expected, by the upper end of the 95 % interval. Where
    99 % of the copies lie higher, it is the middle between that score and theirs, so that both errors are rarer still.
    """
    z_copy = transformed(copy_C)
    z = copies_from = float(np.quantile(z_copy, LOWEST_COPIES))
    tail = _tail(transformed(natural_P), copies_from)
    if tail is not None:
        z = tail.above(ALLOWED, deviations=NORMAL_95)
        z = max(z, (z + copies_from) / 2)
    found = int((found_C & (z_copy >= z)).sum())
    if tail is None:
        return Threshold(float(np.tanh(z)), pairs, None, None, None, len(z_copy), found)
    low, expected, high = (tail.expected_above(z, deviations=d) for d in (-NORMAL_95, 0.0, NORMAL_95))
    return Threshold(float(np.tanh(z)), pairs, expected, low, high, len(z_copy), found)


def exact_interval(found: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of Clopper and Pearson for a share."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, found, of - found + 1)) if found else 0.0
    return low, float(beta.ppf(0.975, found + 1, of - found)) if found < of else 1.0


def _tail(z_P: Doubles, end: float) -> Tail | None:
    """Fit the tail of the scores below `end`, beyond which they may be true copies; None for too few scores.

    The exponential distribution is fitted by maximum likelihood to what is seen of it, between its start and `end`
    (Deemer and Votaw 1955, Annals of Mathematical Statistics 26).
    """
    z_P = z_P[(z_P > 0) & (z_P < end)]  # 0: pairs that were not compared in detail
    if len(z_P) * TAIL < FEWEST:
        return None
    start = float(np.quantile(z_P, 1 - TAIL))
    over = z_P[z_P > start] - start
    if len(over) < FEWEST:
        return None
    length = end - start
    mean = _untruncated_mean(float(over.mean()) / length) * length
    return Tail(start, mean, len(over) / -float(np.expm1(-length / mean)), _relative_error(length / mean, len(over)))


def _relative_error(length: float, count: int) -> float:
    """Return the standard error of a mean that was fitted to `count` values, by the Fisher information.

    length  of the part of the distribution that is seen, in means. Of a short part, the mean is hardly known.
    """
    lost = length**2 / (4 * np.sinh(length / 2) ** 2) if length < 50 else 0.0
    return float(1 / np.sqrt(count * max(1 - lost, 1e-9)))


def _untruncated_mean(share: float) -> float:
    """Return the mean of the exponential distribution whose part in [0, 1] has the mean `share`; STEEPEST: flat."""
    low, high = 1e-6, STEEPEST
    if share >= 0.5:
        return high
    for _ in range(100):
        middle = (low + high) / 2 if high < 2 * low else float(np.sqrt(low * high))
        seen = middle - (1 / np.expm1(1 / middle) if middle > 1e-2 else 0.0)
        low, high = (middle, high) if seen < share else (low, middle)
    return (low + high) / 2
