"""A fold as a variant sees it: labelled training photos, and validation photos without any label.

n training photos, m validation photos, M photos to predict, D features, C classes of a task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast

import numpy as np

from maskcls.labels import Ints, LabelSpace
from maskcls.nn.fitting.fitted_head import Wide, WideHead, log_softmax
from maskcls.nn.fitting.head_rows import HeadRows
from maskcls.nn.fitting.solvers import Grams, Solver, discriminant_solver, logistic_solver, ridge_solver
from maskcls.nn.fitting.standardised import Standardised, standardised
from maskcls.nn.fitting.strength_choice import choose_head
from maskcls.training.heads.fold_heads import STRENGTHS

T = TypeVar("T")

FARTHEST = -30.0  # log probability of a class that does not occur


@dataclass(frozen=True, eq=False)
class Photos:
    """All labelled photos, N, and the M to predict.

    features  {name: (N, D)} raw; to_predict: (M, D), of `last`.
    labels    {task: (N,)}; age_N: years; person_N, look_N: people by name, groups by similarity, 0 and up.
    """

    space: LabelSpace
    features: Mapping[str, Wide]
    to_predict: Wide
    labels: Mapping[str, Ints]
    age_N: Ints
    person_N: Ints
    look_N: Ints


@dataclass(frozen=True, eq=False)
class Fit:
    """A head fitted on training photos: log probabilities (n, C) of these, each by inner folds, and (m, C) of the new.

    loss  log loss of the former; strength, scale: as chosen for it.
    """

    known: Wide
    new: Wide
    loss: float
    strength: float
    scale: float


@dataclass(eq=False)
class Split:
    """One fold. All but the attributes that are called `new_` are of the training photos.

    part_n   the inner fold of each: the other outer folds. A person is in one of them.
    group_m  groups of the validation photos, by similarity.
    """

    space: LabelSpace
    raw: Mapping[str, Wide]
    new_raw: Mapping[str, Wide]
    to_predict: Wide
    labels: Mapping[str, Ints]
    age_n: Ints
    person_n: Ints
    part_n: Ints
    group_m: Ints
    kept: dict[str, Standardised] = field(default_factory=dict)
    grams: dict[str, Grams] = field(default_factory=dict)
    fits: dict[tuple[str, str, str], Fit] = field(default_factory=dict)
    made: dict[str, object] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[Split], T]) -> T:
        """Return what a function makes of this fold; several variants may share it."""
        if name not in self.made:
            self.made[name] = make(self)
        return cast(T, self.made[name])

    def classes(self, task: str) -> int:
        """Return the number of classes of a task."""
        return len(self.space.task(task).classes)

    def standard(self, name: str = "last") -> tuple[Wide, Wide]:
        """Return features of the training and of the validation photos, standardised on the training photos."""
        if name not in self.kept:
            self.kept[name] = standardised(self.raw[name])
        found = self.kept[name]
        return found.feature_ND, (self.new_raw[name] - found.mean_D) / found.deviation_D

    def base(self, task: str, kind: str = "lda", features: str = "last") -> Fit:
        """Return the head that model.train=heads fits, once."""
        key = (task, kind, features)
        if key not in self.fits:
            known_ND, new_ND = self.standard(features)
            grams = self.grams.setdefault(features, {})
            self.fits[key] = fit(
                known_ND, self.labels[task], self.part_n, self.classes(task), new_ND, kind=kind, grams=grams
            )
        return self.fits[key]

    def log_base(self) -> dict[str, Wide]:
        """Return the base's log probabilities of the validation photos, by task."""
        return {task: self.base(task).new for task in self.space.names}


def split(photos: Photos, fold_N: Ints, k: int) -> Split:
    """Return fold k; the labels of its photos are not in it."""
    own, other = np.flatnonzero(fold_N == k), np.flatnonzero(fold_N != k)
    return Split(
        photos.space,
        {name: raw_ND[other] for name, raw_ND in photos.features.items()},
        {name: raw_ND[own] for name, raw_ND in photos.features.items()},
        photos.to_predict,
        {name: label_N[other] for name, label_N in photos.labels.items()},
        photos.age_N[other],
        photos.person_N[other],
        fold_N[other],
        np.unique(photos.look_N[own], return_inverse=True)[1].astype(np.int64),
    )


def fit(
    known_ND: Wide,
    label_n: Ints,
    part_n: Ints,
    classes: int,
    new_ND: Wide,
    *,
    kind: str = "lda",
    grams: Grams | None = None,
    solver: Callable[[HeadRows], Solver] | None = None,
    strengths: Sequence[float] = (),
) -> Fit:
    """Fit a head on standardised training rows as model.train=heads does, or with another solver.

    Rows of part -1 are in every fit, and get no inner log probability.
    """
    weight_n = np.ones(len(label_n))
    rows = HeadRows(known_ND, label_n, weight_n, weight_n, part_n, np.arange(len(label_n)), classes)
    strengths = strengths or STRENGTHS[kind]
    solve = solver(rows) if solver is not None else _product_solver(rows, kind, {} if grams is None else grams)
    chosen = choose_head(rows, solve, strengths, scaled=kind != "logistic")
    inner_NC, every = np.full((len(label_n), classes), np.nan), np.unique(part_n).tolist()
    for part in rows.parts:
        places = np.flatnonzero(part_n == part)
        head = solve([one for one in every if one != part], chosen.strength).scaled(chosen.scale)
        inner_NC[places] = log_rows(head, known_ND[places], classes)
    return Fit(inner_NC, log_rows(chosen.head, new_ND, classes), chosen.loss, chosen.strength, chosen.scale)


def other_logistic(one: Split, solver: Callable[[str, float, HeadRows], Solver]) -> dict[str, Wide]:
    """Return log probabilities (m, C) by task of heads that another solver makes in place of logistic regression.

    The strength is that of logistic regression; a factor is fitted as for lda.

    solver  of a task, that strength, and rows.
    """
    (known_ND, new_ND), logs = one.standard(), {}
    for task in one.space.names:
        strength = one.base(task, "logistic").strength
        logs[task] = fit(
            known_ND,
            one.labels[task],
            one.part_n,
            one.classes(task),
            new_ND,
            solver=partial(solver, task, strength),
            strengths=(strength,),
        ).new
    return logs


def _product_solver(rows: HeadRows, kind: str, grams: Grams) -> Solver:
    if kind == "lda":
        return discriminant_solver(rows, grams, balance=0.0)
    if kind == "ridge":
        return ridge_solver(rows, grams)
    return logistic_solver(rows, STRENGTHS["logistic"][len(STRENGTHS["logistic"]) // 2])


def log_rows(head: WideHead, feature_ND: Wide, classes: int) -> Wide:
    """Return log probabilities (n, C) of all classes of a task."""
    found = np.full((len(feature_ND), classes), FARTHEST)
    found[:, head.present_P] = log_softmax(head.logits(feature_ND))
    return found


def log_mean_exp(*several: Wide) -> Wide:
    """Return the normalised geometric mean of rows of log probabilities."""
    return log_softmax(np.mean(several, axis=0))
