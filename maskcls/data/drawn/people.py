"""Drawn people: how many per gender and age class, and their random generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from maskcls.data.drawn.look import State
from maskcls.labels import CONTEST

Split = Literal["train", "eval"]
Gender = Literal["male", "female"]
SHOTS: tuple[tuple[str, State], ...] = (
    ("mask1", "wear"),
    ("mask2", "wear"),
    ("mask3", "wear"),
    ("mask4", "wear"),
    ("mask5", "wear"),
    ("incorrect_mask", "incorrect"),
    ("normal", "normal"),
)
RACE = "Drawn"


# Shares of the people, and the distribution of years in an age class: first year, span, and two beta parameters.
CELL_SHARES: dict[tuple[Gender, int], float] = {
    ("female", 1): 0.29,
    ("female", 0): 0.27,
    ("male", 0): 0.20,
    ("male", 1): 0.15,
    ("female", 2): 0.05,
    ("male", 2): 0.04,
}
BAND_YEARS = ((18, 12, 1.2, 1.8), (30, 30, 1.8, 1.1), (60, 16, 1.0, 2.0))
SECOND_SEAT_DIVISOR = 0.5


@dataclass(frozen=True)
class Person:
    """One drawn person.

    split       the part of the data set: train or eval.
    index       position in that part, from 0.
    gender      male or female.
    age_years   18 and more.
    """

    split: Split
    index: int
    gender: Gender
    age_years: int

    @property
    def id(self) -> str:
        """Six digits, from 000001."""
        return f"{self.index + 1:06d}"

    @property
    def folder(self) -> str:
        """Name of the person's folder, the `path` of train.csv."""
        return f"{self.id}_{self.gender}_{RACE}_{self.age_years}"

    def joint_class(self, state: State) -> int:
        """Return the joint class of a photo of this person.

        >>> Person("eval", 0, "female", 30).joint_class("incorrect")
        10
        """
        mask, gender, age = CONTEST.tasks
        index = {mask.name: mask.classes.index(state), gender.name: gender.classes.index(self.gender)}
        labels = {name: np.array([value]) for name, value in index.items()}
        return int(CONTEST.encode({**labels, age.name: age.band(np.array([self.age_years]))})[0])


def cells(count: int) -> list[tuple[Gender, int]]:
    """Return gender and age class of the first `count` people, close to `CELL_SHARES` for every count.

    Reference: Adams' method of apportionment, which favours small groups. The second person of a group comes even
    earlier, so that 18 people put two into every group.

    >>> cells(3)
    [('female', 1), ('female', 0), ('male', 0)]
    """
    seats = dict.fromkeys(CELL_SHARES, 0)

    def claim(cell: tuple[Gender, int]) -> float:
        taken = seats[cell]
        return CELL_SHARES[cell] / (SECOND_SEAT_DIVISOR if taken == 1 else taken) if taken else 1 + CELL_SHARES[cell]

    order = []
    for _ in range(count):
        order.append(max(CELL_SHARES, key=claim))
        seats[order[-1]] += 1
    return order


def people_of(split: Split, count: int, seed: int) -> list[Person]:
    """Return the first `count` people of a split; a longer list begins with the shorter one.

    >>> [person.folder for person in people_of("train", 2, seed=0)] == [
    ...     person.folder for person in people_of("train", 9, seed=0)][:2]
    True
    """
    people = []
    for index, (gender, band) in enumerate(cells(count)):
        first, span, low, high = BAND_YEARS[band]
        years = first + int(span * generator(seed, split, index, 0).beta(low, high) * (1 - 1e-9))
        people.append(Person(split, index, gender, years))
    return people


def generator(seed: int, split: Split, index: int, draw: int) -> np.random.Generator:
    """Return the random generator of one draw: 0 for the age, 1 for the traits, 2 and above for the photos."""
    branch = (("train", "eval").index(split), index, draw)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=branch))
