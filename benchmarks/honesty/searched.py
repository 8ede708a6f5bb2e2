"""Drawn searches over settings for `search.py`: what a network answers is a smooth function of the settings.

A trial has settings x in [0, 1]^D. Every person has a margin: how far a network is from taking them for another group.
It is the sum of four terms: of the group (rare groups are harder), of the settings (a bowl with its best place
inside), of the person, and a smooth random function of x per person. So near settings err on the same people, and a
search that looks where the scores are high looks where it has luck with its people. A photo adds a margin.

P people, K photos per person, G groups, F features of the settings, J = 3 G joint classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from people import CONTEST

Array = Any

PHOTOS = (5, 1, 1)  # of each mask per person
GROUPS = len(CONTEST)
CLASSES = 3 * GROUPS
EASE = (1.9, 0.9, 0.5, 1.9, 0.9, 0.5)  # mean margin by group: young, middle, old of both genders
FEATURES = 40
TIGHT = 2.0  # how fast answers change with the settings


@dataclass(frozen=True)
class Search:
    """What is searched.

    people      that score the trials.
    trials      of the search.
    spread      how much worse the settings at the corner of the space are than the best, in standard deviations of a
                person's margin; 0: all settings are equally good.
    own         standard deviation of a person's answer to the settings; 0: settings move everybody equally.
    dimensions  of the space.
    """

    people: int
    trials: int
    spread: float
    own: float = 0.5
    dimensions: int = 3


@dataclass(frozen=True, eq=False)
class People:
    """Drawn people and their photos: what is the same for all settings.

    group_P, taken_P  their group, and the one that a network takes them for if it errs.
    margin_P          without that of the settings; own_PF: their answer to the settings.
    mask_PK, other_PK the mask on each photo, and the wrong one that a network sees if it errs.
    photo_PK          added to the person's margin on this photo; clear_PK: margin of the mask.
    """

    group_P: Array
    taken_P: Array
    margin_P: Array
    own_PF: Array
    mask_PK: Array
    other_PK: Array
    photo_PK: Array
    clear_PK: Array

    @property
    def truth(self) -> Array:
        """Joint classes (P K,)."""
        return (self.mask_PK * GROUPS + self.group_P[:, None]).ravel()

    @property
    def person(self) -> Array:
        """The person on each row (P K,)."""
        return np.repeat(np.arange(len(self.group_P)), self.mask_PK.shape[1])


class Drawn:
    """One search's world: where the best settings are, and how features follow from settings."""

    def __init__(self, search: Search, rng: np.random.Generator) -> None:
        """Draw it."""
        self.search, self.rng = search, rng
        self.best_D = rng.uniform(0.2, 0.8, search.dimensions)
        self.direction_DF = rng.normal(0, TIGHT, (search.dimensions, FEATURES))
        self.phase_F = rng.uniform(0, 2 * np.pi, FEATURES)

    def people(self, count: int) -> People:
        """Draw people."""
        rng, masks = self.rng, np.repeat(np.arange(3), PHOTOS)
        group_P = rng.choice(GROUPS, count, p=np.array(CONTEST) / sum(CONTEST))
        age_P, gender_P = group_P % 3, group_P // 3
        beside_P = np.where(age_P == 1, np.where(rng.random(count) < 0.6, 0, 2), 1)  # the next age
        is_gender_P = rng.random(count) < 0.25  # errors in gender instead of age
        taken_P = np.where(is_gender_P, 3 * (1 - gender_P) + age_P, 3 * gender_P + beside_P)
        shape = count, len(masks)
        mask_PK = np.repeat(masks[None], count, axis=0)
        return People(
            group_P,
            taken_P,
            np.array(EASE)[group_P] + rng.normal(0, 1, count),
            rng.normal(0, self.search.own * np.sqrt(2 / FEATURES), (count, FEATURES)),
            mask_PK,
            (mask_PK + rng.integers(1, 3, shape)) % 3,
            rng.normal(0, 0.5, shape),
            rng.normal(1.8, 1, shape),
        )

    def answers(self, of: People, x_D: Array) -> Array:
        """Return the joint classes (P K,) that a trial with these settings gives."""
        farthest = np.maximum(self.best_D, 1 - self.best_D)
        skill = -self.search.spread * float((((x_D - self.best_D) / farthest) ** 2).mean())
        feature_F = np.cos(x_D @ self.direction_DF + self.phase_F)
        moved_P = of.own_PF @ feature_F
        right_PK = (of.margin_P + skill + moved_P)[:, None] + of.photo_PK > 0
        clear_PK = of.clear_PK + 0.5 * (skill + moved_P[:, None]) > 0
        group_PK = np.where(right_PK, of.group_P[:, None], of.taken_P[:, None])
        return (np.where(clear_PK, of.mask_PK, of.other_PK) * GROUPS + group_PK).ravel()
