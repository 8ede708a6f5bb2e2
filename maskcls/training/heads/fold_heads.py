"""The heads of one network on one fold: fitted on its training rows, with strengths chosen among its training people.

N rows of the manifest, V views, D features, R training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np
import torch

from maskcls.engine.step_plan import FoldRows
from maskcls.errors import DataError
from maskcls.labels import Floats, Ints
from maskcls.nn.fitting.fitted_head import RawHead
from maskcls.nn.fitting.head_rows import HeadRows, balanced_weights, people_parts
from maskcls.nn.fitting.solvers import (
    Grams,
    Solver,
    discriminant_solver,
    hidden_solver,
    logistic_solver,
    ridge_solver,
)
from maskcls.nn.fitting.standardised import standardised
from maskcls.nn.fitting.strength_choice import choose_head
from maskcls.nn.heads import JOINT
from maskcls.nn.network import Network
from maskcls.schema import Config, HeadsConfig

# Tried with heads.strength=auto, the strongest first.
STRENGTHS: Mapping[str, tuple[float, ...]] = {
    "lda": (0.8, 0.4, 0.2, 0.1, 0.05),
    "ridge": (30.0, 10.0, 3.0, 1.0, 0.3, 0.1),
    "logistic": (0.3, 0.1, 0.03, 0.01),
    "mlp": (0.1, 0.03, 0.01),
}
SCALED = ("lda", "ridge")  # kinds whose outputs are no logits, or overconfident


@dataclass(frozen=True)
class FoldHead:
    """A head of one fold.

    head      for raw features. strength, scale: what was chosen for it, see `choose_head`.
    loss      weighted log loss of training people who were left out; NaN where none were.
    """

    head: RawHead
    strength: float
    scale: float
    loss: float


def fit_fold_heads(feature_VND: Floats, rows: FoldRows, fold_N: Ints, cfg: Config) -> dict[str, FoldHead]:
    """Fit every head of a network on the training rows of a fold.

    feature_VND  of all rows; each view of a photo is a row with an equal part of its weight.
    fold_N       the fold of each row, -1 for rows that are only trained on; the training rows' folds are the parts
                 between which strengths are chosen, see `people_parts`.

    A function of the arguments, with one thread of BLAS. Nothing is read of other rows than rows.train. Raises what
    `check_fittable` does.
    """
    check_fittable(rows, cfg)
    views, train = len(feature_VND), rows.train
    standard = standardised(feature_VND[:, train].reshape(views * len(train), -1).astype(np.float64))
    part_R = people_parts(rows.people[train], fold_N[train], cfg.seed)
    found: dict[str, FoldHead] = {}
    grams: Grams = {}
    for name, label_N, classes in _targets(rows, cfg):
        known_r = _known_rows(label_N, rows)
        place_r = (np.arange(views)[:, None] * len(train) + known_r).reshape(-1)
        label_r, weight_r = label_N[train][known_r], rows.weight[train][known_r].astype(np.float64)
        whole = len(place_r) == views * len(train)
        head_rows = HeadRows(
            standard.feature_ND if whole else standard.feature_ND[place_r],
            np.tile(label_r, views),
            np.tile(balanced_weights(label_r, weight_r, _balance_of_rows(cfg.heads)), views),
            np.tile(balanced_weights(label_r, weight_r, cfg.heads.balance), views),
            np.tile(part_R[known_r], views),
            place_r,
            classes,
        )
        strengths = STRENGTHS[cfg.heads.kind] if cfg.heads.strength == "auto" else (cfg.heads.strength,)
        scaled = cfg.heads.kind in SCALED
        chosen = choose_head(head_rows, _solver(head_rows, grams, cfg, strengths), strengths, scaled=scaled)
        head = chosen.head.for_raw(standard.mean_D, standard.deviation_D, classes)
        found[name] = FoldHead(head, chosen.strength, chosen.scale, chosen.loss)
    return found


def check_fittable(rows: FoldRows, cfg: Config) -> None:
    """Raise DataError for a head without a labelled training row, and for training rows with probabilities."""
    if rows.soft is not None and rows.soft[rows.train].any():
        raise DataError(
            "heads are fitted on labels, and these rows have probabilities in place of them",
            where="data.pseudo",
            fix="use pseudo labels of classes, or neither model.train=heads nor train.start_heads=fitted",
        )
    for name, label_N, _ in _targets(rows, cfg):
        if not len(_known_rows(label_N, rows)):
            raise DataError(
                "a head cannot be fitted: no training row has a label of it",
                where=name,
                fix="label some photos, or leave the task out of `tasks`",
            )


def _known_rows(label_N: Ints, rows: FoldRows) -> Ints:
    """Return the places in rows.train of those with a label and a weight."""
    return np.flatnonzero((label_N[rows.train] >= 0) & (rows.weight[rows.train] > 0))


def _targets(rows: FoldRows, cfg: Config) -> list[tuple[str, Ints, int]]:
    """Return name, labels (N,) and number of classes of every head."""
    space = cfg.space
    if cfg.model.heads == JOINT:
        return [(JOINT, space.encode(rows.labels), space.size)]
    return [(task.name, rows.labels[task.name], len(task.classes)) for task in space.tasks]


def _balance_of_rows(how: HeadsConfig) -> float:
    """Return the exponent of the rows' weights; discriminant analysis balances its priors instead."""
    return 0.0 if how.kind == "lda" else how.balance


def _solver(rows: HeadRows, grams: Grams, cfg: Config, strengths: tuple[float, ...]) -> Solver:
    how = cfg.heads
    match how.kind:
        case "lda":
            return discriminant_solver(rows, grams, balance=how.balance)
        case "ridge":
            return ridge_solver(rows, grams)
        case "logistic":
            return logistic_solver(rows, strengths[len(strengths) // 2])
        case "mlp":
            return hidden_solver(rows, width=how.hidden, seed=cfg.seed)
        case _:
            assert_never(how.kind)


def set_heads(network: Network, heads: Mapping[str, FoldHead]) -> None:
    """Put fitted heads into a network whose heads are softmaxes over their classes."""
    for name, found in heads.items():
        tensors = {part: torch.from_numpy(array) for part, array in found.head.tensors.items()}
        network.heads[name].load_state_dict(tensors)
