"""How the ages of drawn people are distributed, and with which errors a table records them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

Gender = Literal["male", "female"]
Ages = Literal["drawn", "contest", "uniform"]  # the values of data make --ages
Cell = tuple[Gender, int]  # gender, and age class 0..2

YOUNGEST, OLD = 18, 60
BAND_STARTS = (YOUNGEST, 30, OLD)
UNIFORM_SPANS = (12, 30, 16)  # years of an age class with --ages uniform: 18..75 in all

# People of each age from 18 to 60 among the 2,700 of the contest: nobody is older, so the oldest class is one age.
CONTEST_PEOPLE = (
    (192, 407, 267, 41, 58, 72, 62, 82, 44, 15, 25, 16),
    (
        *(17, 3, 7, 5, 13, 19, 8, 3, 14, 6, 20, 7, 13, 18, 13, 27, 14, 10, 39, 31),
        *(80, 63, 78, 64, 82, 100, 123, 106, 159, 85),
    ),
    (192,),
)
# Of the drawn mode: first year, span, and two beta parameters of an age class.
DRAWN_YEARS = ((18, 12, 1.2, 1.8), (30, 30, 1.8, 1.1), (60, 16, 1.0, 2.0))
DRAWN_SHARES: Mapping[Cell, float] = {
    ("female", 1): 0.29,
    ("female", 0): 0.27,
    ("male", 0): 0.20,
    ("male", 1): 0.15,
    ("female", 2): 0.05,
    ("male", 2): 0.04,
}
CONTEST_SHARES: Mapping[Cell, float] = {
    ("female", 1): 817 / 2700,
    ("female", 0): 732 / 2700,
    ("male", 0): 549 / 2700,
    ("male", 1): 410 / 2700,
    ("female", 2): 109 / 2700,
    ("male", 2): 83 / 2700,
}
UNIFORM_SHARES: Mapping[Cell, float] = {
    (gender, band): UNIFORM_SPANS[band] / sum(UNIFORM_SPANS) / 2 for band in (1, 2, 0) for gender in ("female", "male")
}


@dataclass(frozen=True)
class AgePlan:
    """How old drawn people are, and how a table records it.

    ages         drawn    18 to 75; most people are far from 60.
                 contest  18 to 60, as often as in the contest: every old person is exactly 60, and many are 55 to 59.
                 uniform  every year from 18 to 75 equally often.
    error_years  standard deviation of the error of a recorded age, 0 or more, before it is rounded to a year. With
                 `contest`, ages above 60 are recorded as 60, as in its table.
    """

    ages: Ages = "drawn"
    error_years: float = 0.0

    @property
    def shares(self) -> Mapping[Cell, float]:
        """The share of the people of each gender and age class; they sum to 1."""
        return {"drawn": DRAWN_SHARES, "contest": CONTEST_SHARES, "uniform": UNIFORM_SHARES}[self.ages]

    def true_years(self, band: int, rng: np.random.Generator) -> int:
        """Draw the age of a person of an age class."""
        first = BAND_STARTS[band]
        match self.ages:
            case "drawn":
                first, span, low, high = DRAWN_YEARS[band]
                return first + int(span * rng.beta(low, high) * (1 - 1e-9))
            case "contest":
                passed = np.cumsum(CONTEST_PEOPLE[band])
                return first + int(np.searchsorted(passed, rng.integers(passed[-1]), side="right"))
            case "uniform":
                return first + int(rng.integers(UNIFORM_SPANS[band]))

    def recorded_years(self, true_years: int, rng: np.random.Generator) -> int:
        """Draw the age that a table records for a person.

        >>> AgePlan("contest").recorded_years(59, np.random.default_rng(0))
        59
        """
        if self.error_years == 0:
            return true_years
        recorded = max(YOUNGEST, round(true_years + rng.normal(0, self.error_years)))
        return min(recorded, OLD) if self.ages == "contest" else recorded


AS_DRAWN = AgePlan()
