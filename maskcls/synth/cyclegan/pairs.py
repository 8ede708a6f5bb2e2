"""Unpaired photos of two domains, drawn by person: of equal labels in the tasks that a translation keeps.

N rows, B pairs. A person with many photos is drawn as often as a person with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskcls.errors import DataError
from maskcls.labels import Bools, Ints
from maskcls.synth.class_words import classes_in_words
from maskcls.synth.cyclegan.domains import Domains


@dataclass(frozen=True)
class PairSource:
    """The rows that pairs are drawn from.

    target  one entry per person with a row of the target: these rows.
    source  by the number of the kept labels (`Domains.kept_key`): one entry per person with such rows of the source.
    key_N   (N,) the number of the kept labels of each row.
    """

    target: tuple[Ints, ...]
    source: Mapping[int, tuple[Ints, ...]]
    key_N: Ints


def pair_source(source_N: Bools, target_N: Bools, key_N: Ints, person_N: Ints, domains: Domains) -> PairSource:
    """Return the rows that pairs are drawn from: those of both domains whose kept labels occur in the other one too.

    Otherwise a discriminator could tell the domains apart by a label that a translation must not change.
    Raises DataError when no kept labels occur in both.
    """
    common = np.intersect1d(key_N[source_N], key_N[target_N])
    if not len(common):
        raise DataError(
            "no labels of the other tasks occur in both classes, so no photos can be translated",
            where=f"{classes_in_words(domains.source)}; {classes_in_words(domains.target)}",
            expected=f"photos of both with the same {' and '.join(domains.kept)}",
            fix="choose other classes with synth.classes and synth.from_classes",
        )
    target = _by_person(np.flatnonzero(target_N & np.isin(key_N, common)), person_N)
    source = {int(key): _by_person(np.flatnonzero(source_N & (key_N == key)), person_N) for key in common}
    return PairSource(target, source, key_N)


def drawn_pairs(rows: PairSource, uniform_B4: NDArray[np.float64]) -> tuple[Ints, Ints]:
    """Return rows (B,) of the source and rows (B,) of the target, with equal kept labels in each pair.

    A pair is: a person of the target, one of this person's photos, a person of the source with a photo of the same kept
    labels, one of these photos. So the kept labels are as frequent in the source's batch as in the target's.

    uniform_B4  uniform numbers in [0, 1), one for each of these four choices.
    """
    source_B, target_B = np.empty(len(uniform_B4), dtype=np.int64), np.empty(len(uniform_B4), dtype=np.int64)
    for b, (person, photo, other_person, other_photo) in enumerate(uniform_B4):
        target_B[b] = _drawn_row(rows.target, person, photo)
        source_B[b] = _drawn_row(rows.source[int(rows.key_N[target_B[b]])], other_person, other_photo)
    return source_B, target_B


def _by_person(row_M: Ints, person_N: Ints) -> tuple[Ints, ...]:
    """Return one array of rows per person, in the order of their numbers."""
    return tuple(row_M[person_N[row_M] == person] for person in np.unique(person_N[row_M]))


def _drawn_row(people: Sequence[Ints], person: float, photo: float) -> int:
    """Return a row of one person; both numbers are in [0, 1)."""
    row_M = people[int(person * len(people))]
    return int(row_M[int(photo * len(row_M))])
