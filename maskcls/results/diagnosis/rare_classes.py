"""Classes that are never found, and what to set so that a network finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskcls.groupnouns import PEOPLE, Noun, photos_of_more
from maskcls.labels import Ints

FEWEST = 5  # held-out photos of a class, below which a recall of 0 says little


@dataclass(frozen=True)
class RareClass:
    """A class of a task.

    rarity   photos of the largest class per photo of this one, of the training rows.
    support  held-out photos of the class; found: those that were given it.
    people   held-out people with such a photo.
    """

    task: str
    name: str
    rarity: float
    support: int
    found: int
    people: int

    @property
    def missed(self) -> bool:
        """Whether none of enough photos was found."""
        return self.found == 0 and self.support >= FEWEST


@dataclass(frozen=True)
class Balancing:
    """The settings in use that act against rarity.

    draw   sampler.draw; loss: of the task's head, as text.
    head   whether the head's outputs are a softmax, which class weights and logit adjustment need.
    fitted heads.balance, where heads are fitted: these have neither a sampler nor a loss; None: trained in steps.
    """

    draw: str
    loss: str
    head: bool = True
    fitted: float | None = None


def class_recalls(
    task: str, classes: Sequence[str], train_N: Ints, true_n: Ints, pred_n: Ints, person_n: Ints
) -> list[RareClass]:
    """Return every class of a task, from the labels of the training rows and of held-out rows; -1: unknown.

    >>> train, true, pred = np.array([0] * 9 + [1]), np.array([0, 1, 1]), np.array([0, 0, 1])
    >>> [(one.rarity, one.support, one.found) for one in class_recalls("t", "ab", train, true, pred, true)]
    [(1.0, 1, 1), (9.0, 2, 1)]
    """
    counts = np.bincount(train_N[train_N >= 0], minlength=len(classes))
    found = []
    for c, name in enumerate(classes):
        here = true_n == c
        right, people = int((pred_n[here] == c).sum()), len(np.unique(person_n[here]))
        found.append(RareClass(task, name, float(counts.max() / max(1, counts[c])), int(here.sum()), right, people))
    return found


def what_to_set(one: RareClass, now: Balancing, noun: Noun = PEOPLE) -> tuple[str, ...]:
    """Return settings that make a network find a rare class, the first to try first; those in use are left out.

    Oversampling by the square root repeats each rare photo less often than full balance does: with 1:50, 7 in place of
    50 times, and a network learns few repeated photos by heart.
    """
    advice, rare = [], one.rarity > 10
    if now.fitted is not None:
        advice += [f"heads.balance={power:g}" for power in ((0.5, 1.0) if rare else (1.0,)) if power > now.fitted]
    elif now.draw == "shuffle":
        power = 0.5 if rare else 1.0
        advice.append(f"sampler.draw=oversample sampler.by={one.task} sampler.power={power:g}")
    if now.fitted is None and now.head and "weights=" not in now.loss and "la" not in now.loss:
        advice.append(f"loss.{one.task}=la(tau=1)")
        advice.append(f"loss.{one.task}=ce(weights=effective,beta=0.99)")
    advice.append("maskcls calibrate RUN, and predict with --decide: a decision rule for macro-F1")
    if rare or one.people < FEWEST:
        advice.append(
            f"{photos_of_more(noun)} of {one.task}={one.name}; maskcls pseudo-label --max-per-class can add some"
        )
    return tuple(advice)
