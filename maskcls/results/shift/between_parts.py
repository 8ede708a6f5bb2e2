"""What is known about differences between the photos to predict and those trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maskcls.results.shift.class_shares import ClassShareEstimate
from maskcls.results.shift.pixel_statistics import PixelDifference
from maskcls.results.shift.two_sample import TwoSample

SIGNIFICANT = 0.01  # a p value below this is a finding


@dataclass(frozen=True)
class Shift:
    """How the photos to predict differ from those trained on.

    grouped  whether similar eval photos were grouped; if not, each counts as a person, and p values are too small.
    tests    two-sample tests by what was compared: pixels, embeddings.
    """

    grouped: bool
    pixels: tuple[PixelDifference, ...]
    tests: Mapping[str, TwoSample]
    shares: tuple[ClassShareEstimate, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "grouped": self.grouped,
            "pixels": [one.to_json() for one in self.pixels],
            "tests": {name: one.to_json() for name, one in self.tests.items()},
            "shares": [one.to_json() for one in self.shares],
        }
