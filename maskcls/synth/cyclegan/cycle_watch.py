"""Numbers that tell whether a CycleGAN trains: of its discriminators, and of the variety of its translations.

B images, h and w the rows and columns of their scores; N rows of photos.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from maskcls.labels import Bools, Ints

MOST_COMPARED = 64  # photos of each domain whose distances are compared
BETWEEN = 0.5  # scores above it say real; the targets are 1 and 0


def patch_accuracy(real_B1hw: Tensor, fake_B1hw: Tensor) -> float:
    """Return the share in [0, 1] of right scores, with photos and generated images counted equally.

    Near 0.5 the discriminator cannot tell them apart; near 1 it always can, and the generator learns little from it.
    """
    right = (real_B1hw > BETWEEN).float().mean() + (fake_B1hw < BETWEEN).float().mean()
    return float(right) / 2


def score_gap(real_B1hw: Tensor, fake_B1hw: Tensor) -> float:
    """Return the mean score of photos less that of generated images: 1 if it is perfect, 0 if it knows nothing."""
    return float(real_B1hw.detach().float().mean() - fake_B1hw.detach().float().mean())


@dataclass(frozen=True)
class ComparedRows:
    """Photos of equal kept labels whose variety is compared: source_R are translated first, target_R are not."""

    source_R: Ints
    target_R: Ints

    @property
    def enough(self) -> bool:
        """Whether there are pairs on both sides."""
        return min(len(self.source_R), len(self.target_R)) > 1


def compared_rows(source_N: Bools, target_N: Bools, key_N: Ints, person_N: Ints) -> ComparedRows:
    """Return the first photo of each person, of the kept labels that most people of the target have.

    Several photos of one person would resemble each other in one domain only.
    """
    both = np.intersect1d(key_N[source_N], key_N[target_N])
    people = [len(np.unique(person_N[target_N & (key_N == key)])) for key in both]
    same_N = key_N == both[int(np.argmax(people))]
    first = [_first_of_each(np.flatnonzero(same_N & row_N), person_N) for row_N in (source_N, target_N)]
    return ComparedRows(*first)


def _first_of_each(row_R: Ints, person_N: Ints) -> Ints:
    _, place = np.unique(person_N[row_R], return_index=True)
    return row_R[np.sort(place)][:MOST_COMPARED]
