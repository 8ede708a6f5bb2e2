"""The decision rule: one weight and one threshold per joint class turn probabilities into labels.

The highest probability is not the best label for the macro-F1 when classes are rare. N rows, J joint classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from maskcls.labels import Ints
from maskcls.results.decisions.calibration import TINY, Probabilities, log_rows
from maskcls.results.scores.metrics import Doubles

Kind = Literal["expected", "task", "joint", "prior", "shift"]


@dataclass(frozen=True)
class DecisionRule:
    """Answer with the class whose exp(bias) * (probability - threshold) is the largest.

    kind       how it was found: "expected" by `expected_rule`, "task", "joint" and "prior" by `fit_bias`, "shift" by
               `shift_rule`.
    bias       J numbers in nats, one a joint class; only their differences count.
    threshold  J numbers in [0, 1), or () for 0 everywhere: then the bias is added to the log-probability.
    numbers    the few the bias is made of, by name, for people.

    Raises ValueError for another kind, numbers that are not finite, or thresholds for other classes.
    """

    kind: Kind
    bias: tuple[float, ...]
    threshold: tuple[float, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (*self.bias, *self.threshold)))
        if self.kind not in get_args(Kind) or not finite or len(self.threshold) not in (0, len(self.bias)):
            raise ValueError(f"no rule: {self.kind!r}, {self.bias}, {self.threshold}")

    def labels(self, prob_NJ: Probabilities) -> Ints:
        """Return the joint class of each row, (N,) int64; the lowest index wins a tie."""
        weight_J = np.exp(np.asarray(self.bias) - max(self.bias))
        above_NJ = self._checked(prob_NJ) - np.asarray(self.threshold or 0.0)
        best_N: Ints = (weight_J * above_NJ).argmax(axis=1).astype(np.int64)
        return best_N

    def adjusted(self, prob_NJ: Probabilities) -> Doubles:
        """Return the rows (N, J) float64 with every class's odds changed by its bias, summing to 1 again.

        Raises ValueError for a rule with thresholds, whose answers are no probabilities' maximum.
        """
        if self.threshold:
            raise ValueError(f"a rule of kind {self.kind!r} has thresholds, and so no rows of its own")
        changed_NJ = log_rows(self._checked(prob_NJ)) + np.asarray(self.bias)
        odds_NJ = np.exp(changed_NJ - changed_NJ.max(axis=1, keepdims=True))
        rows_NJ: Doubles = odds_NJ / odds_NJ.sum(axis=1, keepdims=True)
        return rows_NJ

    def _checked(self, prob_NJ: Probabilities) -> Doubles:
        if np.shape(prob_NJ)[1:] != (len(self.bias),):
            raise ValueError(f"probabilities must be (N, {len(self.bias)}), got {np.shape(prob_NJ)}")
        return np.maximum(np.asarray(prob_NJ, dtype=np.float64), TINY)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        data = {"kind": self.kind, "bias": list(self.bias), "threshold": list(self.threshold)}
        return data | {"numbers": dict(self.numbers)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> DecisionRule:
        """Rebuild a rule from `to_json` data."""
        bias, threshold = (tuple(map(float, data[name])) for name in ("bias", "threshold"))
        return DecisionRule(data["kind"], bias, threshold, dict(data["numbers"]))
