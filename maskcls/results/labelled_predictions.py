"""Predictions of N rows with the true labels, people and folds of these rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maskcls.groupnouns import PEOPLE, Noun
from maskcls.labels import Floats, Ints, LabelSpace


@dataclass(frozen=True, eq=False)
class LabelledPredictions:
    """Predictions and the true labels of the same rows.

    ids       N texts.
    pred_N    (N,) joint labels 0..J-1.
    truth     {task: (N,) int}, every task of the space; -1 = unknown.
    prob_NJ   (N, J) joint probabilities; None for labels alone.
    people_N  (N,) the person on each row; None when not known.
    fold_N    (N,) the validation fold of each row; None without folds.
    seed      of what is drawn in fitting, such as the halves of `bagged`.
    noun      what the people are called, one and several: patient, patients.
    adapted   how networks among them were adapted to the photos, values of predict.adapt.
    """

    ids: Sequence[str]
    pred_N: Ints
    truth: Mapping[str, Ints]
    space: LabelSpace
    prob_NJ: Floats | None = None
    people_N: NDArray[np.str_] | None = None
    fold_N: Ints | None = None
    seed: int = 0
    noun: Noun = PEOPLE
    adapted: tuple[str, ...] = ()
