"""What averaging within groups gains on out-of-fold rows, and what it can be expected to gain among new photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maskcls.results.comparison.difference import Difference

Way = Literal["cut", "whole"]
PROVEN_ABOVE = 0.0  # macro-F1; the lower end of a gain's interval must be above it
FEW_WRONG = 0.02  # a share of wrong pairs from which their damage can be measured; with fewer it is assumed
ASSUMED_DAMAGE = 5.0  # macro-F1 lost per share of wrong pairs, over the gain of right ones; 3 to 5 in simulations


@dataclass(frozen=True)
class ExpectedGain:
    """A gain in macro-F1, and the lower end of its interval."""

    value: float
    low: float

    @property
    def proven(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > PROVEN_ABOVE


@dataclass(frozen=True)
class MeasuredGain:
    """Gains in macro-F1 of averaging the same out-of-fold rows, over not averaging them.

    cut         groups are cut at the folds, which hides wrong pairs. whole: as among new photos, see `stand_ins`.
    right_only  groups are cut where they hold several people; nothing but wrong pairs makes it differ from `whole`.
    precision   pair precision of the whole groups.
    """

    cut: Difference
    whole: Difference
    right_only: float
    precision: float

    @property
    def way(self) -> Way:
        """The way with the smaller gain, which is the one to believe."""
        return "cut" if self.cut.value < self.whole.value else "whole"

    @property
    def believed(self) -> Difference:
        """The smaller of the two gains."""
        return self.cut if self.way == "cut" else self.whole

    def among(self, precision: float) -> ExpectedGain:
        """Return the gain to expect where this share of the grouped pairs is right.

        The loss by wrong pairs is taken as proportional to their share. It is never taken as smaller than measured, so
        nothing is gained by a set with fewer wrong pairs.
        """
        believed, wrong = self.believed, 1 - self.precision
        further = max(0.0, (1 - precision) - wrong) * self._damage(wrong)
        return ExpectedGain(believed.value - further, believed.low - further)

    def _damage(self, wrong: float) -> float:
        """Return the macro-F1 lost per share of wrong pairs."""
        if wrong < FEW_WRONG:
            return ASSUMED_DAMAGE * max(0.0, self.right_only)
        return max(0.0, self.right_only - self.believed.value) / wrong
