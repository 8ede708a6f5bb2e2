"""Drawn people for the simulations of this folder: labels, and predictions with errors that a person's photos share.

A person is of one of six groups (gender x age), of which some are rare, and has photos of three masks. The group that a
network takes a person for is drawn once; each photo keeps it with probability `shared`, else draws its own. The true
macro-F1 of an endless population follows from the same probabilities without any drawing.

P people, K photos per person, G groups, J = 3 G joint classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = Any

AGES = ((0.88, 0.12, 0.0), (0.12, 0.80, 0.08), (0.02, 0.38, 0.60))
AGES_WELL = ((0.97, 0.03, 0.0), (0.03, 0.95, 0.02), (0.0, 0.10, 0.90))
BALANCED = (1.0,) * 6
CONTEST = (0.20, 0.14, 0.04, 0.25, 0.30, 0.07)
RARE = (0.24, 0.20, 0.01, 0.27, 0.27, 0.01)
VERY_RARE = (0.25, 0.22, 0.004, 0.26, 0.26, 0.006)


@dataclass(frozen=True, eq=False)
class World:
    """A population and a network.

    shares  (G,) of the groups; photos: of each mask per person.
    taken   (G, G) probability that a person of a group is taken for another; masks: the same of a photo's mask.
    shared  probability that a photo is taken for the group its person is taken for.
    """

    shares: Array
    photos: tuple[int, int, int]
    taken: Array
    masks: Array
    shared: float = 0.7

    @property
    def classes(self) -> int:
        """Number of joint classes."""
        return 3 * len(self.shares)

    def better(self, part: float) -> World:
        """Return the same people with a network that makes this part less of the errors in gender and age."""
        return replace(self, taken=(1 - part) * self.taken + part * np.eye(len(self.shares)))

    def joint(self) -> Array:
        """Return the expected share of photos by true and predicted joint class, (J, J)."""
        weight = self.shares[:, None] * np.array(self.photos)[None]
        cells = np.einsum("gm,gh,mn->mgnh", weight, self.taken, self.masks)
        return cells.reshape(self.classes, self.classes)


def world(
    shares: tuple[float, ...], photos: tuple[int, int, int] = (5, 1, 1), *, well: bool = False, masks: float = 0.96
) -> World:
    """Return a population with these shares; well: a network with few errors; masks: share of masks it gets right."""
    gender = 0.99 if well else 0.95
    taken = np.kron([[gender, 1 - gender], [1 - gender, gender]], AGES_WELL if well else AGES)
    mask = np.full((3, 3), (1 - masks) / 2)
    np.fill_diagonal(mask, masks)
    return World(np.array(shares) / sum(shares), photos, taken, mask)


def macro_f1_of(joint_JJ: Array) -> float:
    """Return the macro-F1 over the classes that occur, from shares of photos by truth and prediction."""
    marks = joint_JJ.sum(axis=0) + joint_JJ.sum(axis=1)
    there = marks > 0
    return float((2 * np.diag(joint_JJ)[there] / marks[there]).mean())


@dataclass(frozen=True, eq=False)
class Drawn:
    """Rows of drawn people: true joint classes (N,), each network's (N,), the person of each row (N,), 0..P-1."""

    truth: Array
    predicted: list[Array]
    person: Array


def draw(worlds: list[World], people: int, rng: np.random.Generator, *, same: float = 0.0) -> Drawn:
    """Draw people of the first world, predicted by the network of each.

    same  share of people for whom every network answers exactly as the first.
    """
    first = worlds[0]
    groups, mask_K = len(first.shares), np.repeat(np.arange(3), first.photos)
    group_P = rng.choice(groups, people, p=first.shares)
    group_PK = np.repeat(group_P[:, None], len(mask_K), axis=1)
    mask_PK = np.repeat(mask_K[None], people, axis=0)
    answers: list[Array] = []
    for one in worlds:
        person_PK = np.repeat(_pick(one.taken, group_P, rng)[:, None], len(mask_K), axis=1)
        own_PK = _pick(one.taken, group_PK, rng)
        seen_PK = np.where(rng.random(group_PK.shape) < one.shared, person_PK, own_PK)
        answer_PK = _pick(one.masks, mask_PK, rng) * groups + seen_PK
        if answers:
            answer_PK = np.where(rng.random((people, 1)) < same, answers[0], answer_PK)
        answers.append(answer_PK)
    person = np.repeat(np.arange(people), len(mask_K))
    return Drawn((mask_PK * groups + group_PK).ravel(), [answer.ravel() for answer in answers], person)


def _pick(chance: Array, row: Array, rng: np.random.Generator) -> Array:
    """Draw a column of the matrix for each of these rows, by the probabilities in the row."""
    above = rng.random(row.shape)[..., None] > chance.cumsum(axis=1)[row]
    return above.sum(axis=-1).clip(0, chance.shape[1] - 1)
