"""Random numbers of a generator's training: a function of (seed, fold, step, purpose), never of what was drawn before.

B batch, P people, R rows of a stratum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from maskcls.engine.fit import stream_seed
from maskcls.labels import Bools, Ints


def drawing(seed: int, fold: int, step: int, purpose: int, turn: int = 0) -> torch.Generator:
    """Return a generator of random numbers on the CPU, for one purpose of one step; turn: within the step.

    Draw there and move the result: the numbers then do not depend on the device.

    >>> [torch.rand((), generator=drawing(0, 1, 2, 3)).item() == torch.rand((), generator=drawing(*key)).item()
    ...  for key in ((0, 1, 2, 3), (1, 1, 2, 3), (0, -1, 2, 3), (0, 1, 3, 3), (0, 1, 2, 4), (0, 1, 2, 3, 1))]
    [True, False, False, False, False, False]
    """
    return torch.Generator().manual_seed(stream_seed(seed, fold, step, purpose, turn))


@dataclass(frozen=True)
class PersonRows:
    """Some rows, ordered by person, from which a person is drawn first and then one of the person's rows.

    row_R    the rows. first_P, count_P: where each person's rows begin in row_R, and how many they are.
    """

    row_R: Ints
    first_P: Ints
    count_P: Ints

    @staticmethod
    def of(person_N: Ints, chosen_N: Bools) -> PersonRows:
        """Group the chosen rows by person."""
        row_R = np.flatnonzero(chosen_N)
        row_R = row_R[np.argsort(person_N[row_R], kind="stable")]
        _, first_P, count_P = np.unique(person_N[row_R], return_index=True, return_counts=True)
        return PersonRows(row_R, first_P.astype(np.int64), count_P.astype(np.int64))

    def draw(self, count: int, source: torch.Generator) -> Ints:
        """Return `count` rows, with replacement: every person is equally probable, then every row of the person."""
        uniform_2B = torch.rand(2, count, generator=source, dtype=torch.float64).numpy()
        person_B = (uniform_2B[0] * len(self.first_P)).astype(np.int64)
        within_B = (uniform_2B[1] * self.count_P[person_B]).astype(np.int64)
        row_B: Ints = self.row_R[self.first_P[person_B] + within_B]
        return row_B


@dataclass(frozen=True)
class BatchDraws:
    """Draws batches of which half the rows are of the rare classes, so that they are seen as often as the others."""

    rare: PersonRows
    others: PersonRows

    @staticmethod
    def of(person_N: Ints, target_N: Bools) -> BatchDraws:
        """Divide the rows by whether they are of the rare classes."""
        return BatchDraws(PersonRows.of(person_N, target_N), PersonRows.of(person_N, ~target_N))

    def draw(self, count: int, source: torch.Generator) -> Ints:
        """Return `count` rows (B,): of the rare classes first, the larger half; all where there are no others."""
        if not len(self.rare.row_R) or not len(self.others.row_R):
            return (self.rare if len(self.rare.row_R) else self.others).draw(count, source)
        rare = (count + 1) // 2
        return np.concatenate([self.rare.draw(rare, source), self.others.draw(count - rare, source)])
