"""Whether an exported model predicts what the run predicts.

N photos, J joint classes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from maskcls.errors import ResultError
from maskcls.labels import Floats, Ints

LIMIT = 1e-4  # float32 sums in another order differ by about 1e-6; a wrong step differs by far more


@dataclass(frozen=True)
class Parity:
    """An exported model compared with the run on the same photos.

    photos      their number.
    max_dp      largest difference of a joint probability.
    decisions   photos that get another joint class.
    pixels      share of the networks' input values (0..255) that differ, in [0, 1]; max_pixel: the largest difference.
    """

    photos: int
    max_dp: float
    decisions: int
    pixels: float
    max_pixel: int

    @property
    def holds(self) -> bool:
        """Whether the exported model may be used in place of the run."""
        return self.max_dp <= LIMIT and self.decisions == 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def compare_predictions(
    want_NJ: Floats, want_N: Ints, got_NJ: Floats, got_N: Ints, *, pixels: float = 0.0, max_pixel: int = 0
) -> Parity:
    """Compare joint probabilities and the joint classes decided on; a NaN counts as a difference of infinity."""
    differences = np.nan_to_num(np.abs(want_NJ.astype(np.float64) - got_NJ), nan=np.inf)
    return Parity(len(want_N), float(differences.max(initial=0)), int((want_N != got_N).sum()), pixels, max_pixel)


def refuse_unequal(parity: Parity, *, where: str) -> None:
    """Raise ResultError unless the exported model predicts what the run predicts."""
    if not parity.holds:
        raise ResultError(
            "the exported model does not predict what the run predicts; nothing was written",
            where=where,
            got=f"on {parity.photos} photos: probabilities differ by up to {parity.max_dp:.1e},"
            f" {parity.decisions} get another class",
            expected=f"at most {LIMIT:.0e}, and 0",
            fix="use the run folder itself, or report it with the name of the backbone",
        )
