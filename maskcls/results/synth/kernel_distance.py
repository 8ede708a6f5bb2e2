"""The kernel distance (KID) between the embeddings of generated images and of photos, with an interval over people.

M photos, N samples, D features, P people.

Reference: Binkowski et al. 2018, "Demystifying MMD GANs", arXiv:1801.01401: the unbiased squared maximum mean
discrepancy with the kernel (x.y / D + 1)^3. Libraries average it over random subsets of equal size, which ignore that
photos of one person resemble each other. Here it is computed once from all rows, and its interval leaves out people.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.scores.intervals import LEVEL
from maskcls.results.scores.student import student_quantile

BLOCKS = 20  # of people, each left out once for the interval
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class KernelDistance:
    """A kernel distance; 0 for two samples of one distribution, where the estimate may be below 0 by chance.

    low, high  its interval over people, at the level of all intervals (95 %); NaN with fewer than two people in a part.
    """

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def kernel_distance(photo_MD: NDArray[Any], sample_ND: NDArray[Any], person_M: Ints, person_N: Ints) -> KernelDistance:
    """Return the kernel distance of two sets of embeddings.

    photo_MD, sample_ND  (M, D) and (N, D) float, at least two rows each.
    person_M, person_N   (M,) and (N,) int64, a number per person; a sample without a parent is a person of its own.

    The interval is a jackknife over blocks of people, of both parts, with Student's t. Raises ValueError for fewer than
    two rows or another number of features.
    """
    if min(len(photo_MD), len(sample_ND)) < 2 or photo_MD.shape[1] != sample_ND.shape[1]:
        raise ValueError(f"no distance of {photo_MD.shape} and {sample_ND.shape} embeddings")
    own_MM, own_NN = _kernel(photo_MD, photo_MD), _kernel(sample_ND, sample_ND)
    between_MN = _kernel(photo_MD, sample_ND)
    block_M, block_N = _blocks(person_M), _blocks(person_N)
    value = _discrepancy(own_MM, between_MN, own_NN)
    pieces = min(len(np.unique(block_M)), len(np.unique(block_N)))
    if pieces < 2:
        return KernelDistance(value, float("nan"), float("nan"))
    variance = 0.0
    # The two parts are independent, so their variances add.
    for block, axis in ((block_M, 0), (block_N, 1)):
        kept = [block != one for one in np.unique(block)]
        without = np.array(
            [
                _discrepancy(own_MM[np.ix_(keep, keep)], between_MN[keep], own_NN)
                if axis == 0
                else _discrepancy(own_MM, between_MN[:, keep], own_NN[np.ix_(keep, keep)])
                for keep in kept
                if keep.sum() >= 2
            ]
        )
        count = len(without)
        variance += (count - 1) / count * float(((without - without.mean()) ** 2).sum()) if count > 1 else 0.0
    half = student_quantile(LEVEL, pieces - 1) * float(np.sqrt(variance))
    return KernelDistance(value, value - half, value + half)


def _kernel(first: NDArray[Any], second: NDArray[Any]) -> Doubles:
    product: Doubles = first.astype(np.float64) @ second.astype(np.float64).T / first.shape[1]
    return (product + 1) ** 3


def _discrepancy(own_MM: Doubles, between_MN: Doubles, own_NN: Doubles) -> float:
    within = sum((own.sum() - np.trace(own)) / (len(own) * (len(own) - 1)) for own in (own_MM, own_NN))
    return float(within - 2 * between_MN.mean())


def _blocks(person_N: Ints) -> Ints:
    """Return the block of each row: people in the order of their numbers, at most BLOCKS blocks of equal size."""
    who_N = np.unique(person_N, return_inverse=True)[1].astype(np.int64)
    people = int(who_N.max(initial=-1)) + 1
    return who_N * min(BLOCKS, people) // people
