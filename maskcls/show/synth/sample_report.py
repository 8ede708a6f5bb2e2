"""What `maskcls synth page` returns and prints: how near the samples of each set are to photos of their classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskcls.groupnouns import Noun
from maskcls.results.added.set_names import set_name
from maskcls.results.synth.kernel_distance import KernelDistance
from maskcls.results.synth.sample_quality import EmbeddingComparison, SampleQuality
from maskcls.show.terminal.json_output import print_json
from maskcls.show.terminal.text import number, plain_table, say, show

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Neighbour:
    """A sample beside the training photo that is nearest to it; closeness as in `SampleQuality`."""

    sample: str
    photo: str
    closeness: float


@dataclass(frozen=True, eq=False)
class SetReport:
    """The samples of one set.

    quality     None where there are no samples, or no photos of their classes.
    neighbours  samples with their nearest photos, the nearest pair first.
    sheets      {steps: picture} of samples while the generator was trained.
    strips      samples for inputs between random ones, one row each; None: the kind of generator has none.
    photo_size  height and width in pixels that the photos were shrunk to, those of the samples; None: they were not.
    """

    fold: int
    quality: SampleQuality | None
    neighbours: tuple[Neighbour, ...] = ()
    sheets: tuple[tuple[int, Pixels], ...] = ()
    strips: Pixels | None = None
    photo_size: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any] | None:
        """Return plain data, None without a quality."""
        return None if self.quality is None else {**self.quality.to_json(), "photo_size": self.photo_size}

    @property
    def title(self) -> str:
        """Whom the samples are for."""
        return f"set {set_name(self.fold)}"


@dataclass(frozen=True, eq=False)
class SampleReport:
    """The samples of a table.

    path  of the table; page: what was written; kind: what made the samples; network: whose embeddings were used.
    """

    path: Path
    page: Path | None
    kind: str
    network: str
    noun: Noun
    sets: tuple[SetReport, ...]

    @property
    def shrunk(self) -> bool:
        """Whether photos were shrunk to the size of the samples."""
        return any(one.photo_size is not None for one in self.sets)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "file": str(self.path),
            "page": None if self.page is None else str(self.page),
            "kind": self.kind,
            "network": self.network,
            "sets": {set_name(one.fold): one.to_json() for one in self.sets},
        }


HEAD = (
    "set",
    "samples",
    "photos",
    "kernel distance",
    "between halves",
    "precision",
    "recall",
    "told apart",
    "closeness",
)
SHRUNK = "The photos were shrunk to the size of the samples before they were compared."
NO_VERDICT = "These figures do not say whether the samples help in training: maskcls synth judge does."


def quality_cells(one: SetReport) -> list[str]:
    """Return the cells of a set's row under HEAD; "-" for a figure that there is none of."""
    found = one.quality
    if found is None:
        return [set_name(one.fold), "0", *["-"] * (len(HEAD) - 2)]
    return [
        set_name(one.fold),
        f"{found.samples:,}",
        f"{found.photos:,}",
        distance_text(found.found.distance),
        distance_text(found.among_photos.distance),
        *coverage_texts(found.found),
        told_apart(found.found),
        number(float(np.median(found.closeness_N)), 2),
    ]


def distance_text(found: KernelDistance | None) -> str:
    """Return a kernel distance with its interval.

    >>> distance_text(KernelDistance(0.1234, 0.1, 0.15))
    '0.123 [0.100, 0.150]'
    """
    if found is None:
        return "-"
    if np.isnan(found.low):
        return number(found.value, 3)
    return f"{number(found.value, 3)} [{number(found.low, 3)}, {number(found.high, 3)}]"


def coverage_texts(found: EmbeddingComparison) -> tuple[str, str]:
    """Return precision and recall."""
    if found.coverage is None:
        return "-", "-"
    return number(found.coverage.precision, 2), number(found.coverage.recall, 2)


def told_apart(found: EmbeddingComparison) -> str:
    """Return how well a classifier tells samples from photos, and the number that chance reaches."""
    if found.two_sample is None:
        return "-"
    return f"{number(found.two_sample.auc, 2)} (chance {number(found.two_sample.chance, 2)})"


def print_sample_report(found: SampleReport, *, json: bool = False) -> None:
    """Print a row per set."""
    if json:
        print_json(found.to_json())
        return
    table = plain_table(*HEAD)
    for one in found.sets:
        table.add_row(*quality_cells(one))
    show(table)
    if found.shrunk:
        say(f"\n{SHRUNK}")
    say(f"\n{NO_VERDICT}")
    if found.page is not None:
        say(f"page: {found.page}")
