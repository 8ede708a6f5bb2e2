"""Options of an export in 8 bits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Int8Options:
    """How networks are exported in 8 bits.

    calibration  photos from which the ranges of the activations are taken, at least 1.
    most_loss    largest significant loss of macro-F1 that is accepted, in [0, 1].
    """

    calibration: int = 128
    most_loss: float = 0.01
