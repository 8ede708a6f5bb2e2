"""Rows with calibrated probabilities and their labels, for the tests of decision rules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from maskcls.labels import Ints, LabelSpace, Task

Doubles = NDArray[np.float64]
PAIR = LabelSpace((Task("a", ("0", "1")), Task("b", ("0", "1"))))
THREE = LabelSpace((Task("t", ("x", "y", "z")),))


def softmax(logits: Doubles) -> Doubles:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def drawn(prob_NC: Doubles, rng: np.random.Generator) -> Ints:
    """Labels that the rows are the true probabilities of."""
    return (prob_NC.cumsum(axis=1) < rng.random((len(prob_NC), 1))).sum(axis=1).clip(0, prob_NC.shape[1] - 1)


def case(people: int, space: LabelSpace, seed: int, photos: int = 4) -> tuple[Doubles, Ints, Ints, Ints]:
    """Rows with calibrated probabilities, their truth, who is on them, and one of 5 folds for each person."""
    rng = np.random.default_rng(seed)
    prob_NJ = softmax(1.5 * rng.normal(size=(people * photos, space.size)))
    person_N = np.repeat(np.arange(people), photos)
    return prob_NJ, drawn(prob_NJ, rng), person_N, person_N % 5


def macro_f1(true_N: Ints, label_N: Ints) -> float:
    return float(f1_score(true_N, label_N, average="macro", zero_division=0))
