"""Two sets of answers to the same rows: for whom each is right more often, every person counted once.

N rows, P people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Bools
from maskcls.results.comparison.difference import mcnemar


@dataclass(frozen=True)
class SignTest:
    """People of whom a has more rows right, people of whom b has, and the two-sided p of a fair coin doing that."""

    for_a: int
    for_b: int
    p: float


def sign_test(correct_a: Bools, correct_b: Bools, people_N: Sequence[str] | NDArray[Any]) -> SignTest:
    """Count the people for whom a, and for whom b, has more rows right, and return the sign test's p-value.

    Reference: Dixon and Mood 1946, Journal of the American Statistical Association 41, the sign test.

    Rows of one person are right and wrong together, so a test over rows believes too much; people do not depend on each
    other. All rows of a person count; people for whom both have equally many rows right are left out.

    correct_a, correct_b  (N,) bool, whether each row is right.
    people_N              (N,) the person on each row; text or whole numbers.

    Raises ValueError for unequal lengths.

    >>> a, b = np.array([1, 1, 0, 0, 0]) > 0, np.array([0, 0, 1, 1, 0]) > 0
    >>> sign_test(a, b, ["ann", "ann", "ann", "bob", "cy"])
    SignTest(for_a=1, for_b=1, p=1.0)
    """
    a_N, b_N = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if not len(a_N) == len(b_N) == len(people_N):
        raise ValueError(f"{len(a_N)}, {len(b_N)} and {len(people_N)} rows")
    who_N = np.unique(np.asarray(people_N), return_inverse=True)[1]
    more_P = np.bincount(who_N, weights=a_N.astype(np.int64) - b_N)
    return SignTest(int((more_P > 0).sum()), int((more_P < 0).sum()), mcnemar(more_P > 0, more_P < 0))
