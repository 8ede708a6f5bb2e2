"""Drawn people: how many per gender and age class, and their random generators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from maskcls.data.drawn.ages import AS_DRAWN, DRAWN_SHARES, AgePlan, Cell, Gender
from maskcls.data.drawn.look import State
from maskcls.labels import CONTEST

Split = Literal["train", "eval"]
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
SECOND_SEAT_DIVISOR = 0.5


@dataclass(frozen=True)
class Person:
    """One drawn person.

    split       the part of the data set: train or eval.
    index       position in that part, from 0.
    gender      male or female.
    age_years   18 and more: how old the person is, and looks on average.
    recorded    the age in train.csv, where it differs; None: the same.
    """

    split: Split
    index: int
    gender: Gender
    age_years: int
    recorded: int | None = None

    @property
    def id(self) -> str:
        """Six digits, from 000001."""
        return f"{self.index + 1:06d}"

    @property
    def folder(self) -> str:
        """Name of the person's folder, the `path` of train.csv."""
        return f"{self.id}_{self.gender}_{RACE}_{self.recorded_years}"

    @property
    def recorded_years(self) -> int:
        """The age in train.csv."""
        return self.age_years if self.recorded is None else self.recorded

    def joint_class(self, state: State) -> int:
        """Return the joint class of a photo of this person, by the true age.

        >>> Person("eval", 0, "female", 30).joint_class("incorrect")
        10
        """
        mask, gender, age = CONTEST.tasks
        index = {mask.name: mask.classes.index(state), gender.name: gender.classes.index(self.gender)}
        labels = {name: np.array([value]) for name, value in index.items()}
        return int(CONTEST.encode({**labels, age.name: age.band(np.array([self.age_years]))})[0])


def cells(count: int, shares: Mapping[Cell, float] = DRAWN_SHARES) -> list[Cell]:
    """Return gender and age class of the first `count` people, close to the shares for every count.

    Reference: Adams' method of apportionment, which favours small groups. The second person of a group comes even
    earlier, so that 18 people put two into every group.

    >>> cells(3)
    [('female', 1), ('female', 0), ('male', 0)]
    """
    seats = dict.fromkeys(shares, 0)

    def claim(cell: Cell) -> float:
        taken = seats[cell]
        return shares[cell] / (SECOND_SEAT_DIVISOR if taken == 1 else taken) if taken else 1 + shares[cell]

    order = []
    for _ in range(count):
        order.append(max(shares, key=claim))
        seats[order[-1]] += 1
    return order


def people_of(split: Split, count: int, seed: int, plan: AgePlan = AS_DRAWN) -> list[Person]:
    """Return the first `count` people of a split; a longer list begins with the shorter one.

    Ages of eval people are recorded without error: their answers are the truth.

    >>> [person.folder for person in people_of("train", 2, seed=0)] == [
    ...     person.folder for person in people_of("train", 9, seed=0)][:2]
    True
    """
    people = []
    for index, (gender, band) in enumerate(cells(count, plan.shares)):
        rng = generator(seed, split, index, 0)
        years = plan.true_years(band, rng)
        recorded = plan.recorded_years(years, rng) if split == "train" else years
        people.append(Person(split, index, gender, years, None if recorded == years else recorded))
    return people


def generator(seed: int, split: Split, index: int, draw: int) -> np.random.Generator:
    """Return the random generator of one draw: 0 for the ages, 1 for the traits, 2 and above for the photos."""
    branch = (("train", "eval").index(split), index, draw)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=branch))
