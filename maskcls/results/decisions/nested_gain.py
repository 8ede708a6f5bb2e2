"""The gain in macro-F1 of a decision rule, when the rule is fitted on the other folds of each row.

N rows, J joint classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Ints
from maskcls.results.comparison.difference import Difference, paired_difference
from maskcls.results.crossfit import cross_fit
from maskcls.results.decisions.calibration import Probabilities
from maskcls.results.scores.metrics import confusion, macro_f1

Fitted = TypeVar("Fitted")


@dataclass(frozen=True)
class Nested:
    """The gain of a decision rule on people it was not fitted on.

    labels  (N,) int64, each row's by the rule fitted on the other folds.
    plain   macro-F1 of the labels without a rule, on all rows; `ruled` with it.
    gain    ruled - plain, with its interval over people.
    """

    labels: Ints
    plain: float
    ruled: float
    gain: Difference

    @property
    def proven(self) -> bool:
        """Whether the whole interval of the gain lies above 0."""
        return self.gain.low > 0


def nested_gain(
    prob_NJ: Probabilities,
    true_N: Ints,
    person_N: Sequence[str] | NDArray[Any],
    fold_N: Ints,
    fit: Callable[[Ints], Fitted],
    apply: Callable[[Fitted, Ints], Ints],
    *,
    level: float = 0.95,
) -> Nested:
    """Cross-fit a decision rule and compare it with the plain argmax of the rows.

    prob_NJ   (N, J) float: what the plain labels are taken from.
    true_N    (N,) int, 0..J-1, or -1 for a row that does not count.
    person_N  (N,) the person on each row; the interval of the gain is over people.
    fold_N    (N,) int, at least two different.
    fit       takes row numbers, returns what it fitted on them.
    apply     takes that and other row numbers, returns their labels (n,).

    `fit` and `apply` close over the same rows as are given here. Raises ValueError as `cross_fit` and
    `paired_difference` do.
    """
    plain_N = np.asarray(prob_NJ).argmax(axis=1).astype(np.int64)
    ruled_N: Ints = cross_fit(fold_N, fit, apply)
    classes = np.shape(prob_NJ)[1]
    gain = paired_difference(true_N, plain_N, ruled_N, person_N, classes, level=level)
    plain, ruled = (macro_f1(confusion(true_N, label_N, classes)) for label_N in (plain_N, ruled_N))
    return Nested(ruled_N, plain, ruled, gain)
