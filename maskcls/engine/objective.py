"""What a network of a run learns: its heads, the rows they learn from, and their losses, from a configuration.

N rows of the manifest, R training rows, B rows of a piece, O outputs of a head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskcls.engine.course import Step
from maskcls.labels import Floats, Ints
from maskcls.nn.heads import JOINT, Head, plain_heads
from maskcls.nn.losses import HeadLoss, build_loss, f1_sums, gaussian, linear_terms, ordinal
from maskcls.nn.targets import target_rows
from maskcls.schema import AgeConfig, Config

READING = {"bands": "softmax", "fine": "softmax", "ordinal": "ordinal", "normal": "normal"}


def build_heads(cfg: Config) -> dict[str, Head]:
    """Return the heads of one network, by name."""
    heads = plain_heads("joint" if cfg.model.heads == JOINT else "multi", cfg.space)
    if cfg.binned is not None and cfg.age != AgeConfig() and JOINT not in heads:
        name, bins, age = cfg.binned.name, cfg.binned.bins, cfg.age
        groups = len(cfg.space.task(age.given).classes) if age.given else 1
        edges = bins if age.fine_bins is None else age.fine_bins
        heads[name] = Head(name, len(bins) + 1, READING[age.head], bins, edges, age.given, groups)
    return {name: replace(head, reading="sigmoid") if _of_sigmoids(head, cfg) else head for name, head in heads.items()}


def _of_sigmoids(head: Head, cfg: Config) -> bool:
    return head.reading == "softmax" and [term.kind for term in cfg.loss.terms(head.name)] == ["bce"]


@dataclass(frozen=True)
class HeadTarget:
    """What one head learns.

    rows    (N, G * K) float32, on the device, so that a step sends nothing but the numbers of its rows; see `losses`.
    masses  of each term that is a sum over rows: (N,) float64, what a row counts in it; here, not on the device.
    weight  what the head counts against the others.
    """

    head: Head
    loss: HeadLoss
    rows: Tensor
    masses: tuple[NDArray[np.float64], ...]
    weight: float = 1.0

    @property
    def f1(self) -> float:
        """What the soft F1 counts in the loss."""
        return sum(term.factor for term in self.loss.terms if term.kind == "f1") if self._by_terms else 0.0

    @property
    def _by_terms(self) -> bool:
        return self.head.reading in ("softmax", "sigmoid")

    def per_row(self, logits_BO: Tensor, target_BX: Tensor) -> list[tuple[float, Tensor]]:
        """Return (factor, summed loss) of every term that is a sum over rows; in the order of `masses`."""
        logits, target = self._by_group(logits_BO, target_BX)
        match self.head.reading:
            case "ordinal":
                return [(1.0, ordinal(logits, target).sum())]
            case "normal":
                return [(1.0, gaussian(logits, target).sum())]
        return [(factor, rows.sum()) for factor, rows, _ in linear_terms(self.loss, logits, target)]

    def sums(self, logits_BO: Tensor, target_BX: Tensor) -> Tensor:
        """Return what the soft F1 is made of (3, K)."""
        return f1_sums(*self._by_group(logits_BO, target_BX))

    def _by_group(self, logits_BO: Tensor, target_BX: Tensor) -> tuple[Tensor, Tensor]:
        # A group that is not the row's own has a target of zeros, and so neither costs nor moves anything.
        groups = len(logits_BO) * self.head.groups
        return logits_BO.view(groups, -1), target_BX.view(groups, -1)


def head_targets(
    heads: Mapping[str, Head],
    labels: Mapping[str, Ints],
    values: Mapping[str, Ints],
    weight_N: Floats,
    train_R: Ints,
    cfg: Config,
    device: torch.device,
    *,
    soft_NJ: Floats | None = None,
) -> dict[str, HeadTarget]:
    """Return what every head learns. The classes' counts, where a loss needs them, are those of the training rows."""
    found = {}
    for name, head in heads.items():
        rows = target_rows(
            head,
            labels,
            values,
            weight_N,
            cfg.space,
            train_bins=cfg.age.train_bins,
            spread=cfg.age.spread,
            soft_NJ=soft_NJ,
        )
        found[name] = _target(head, rows, train_R, cfg, device)
    return found


def _target(head: Head, rows: Floats, train_R: Ints, cfg: Config, device: torch.device) -> HeadTarget:
    tensor = torch.from_numpy(rows)
    by_group = rows.reshape(len(rows) * head.groups, -1)
    classes = tensor[train_R].view(len(train_R) * head.groups, -1).sum(dim=0, dtype=torch.float64)
    loss = build_loss(cfg.loss.terms(head.name), classes)
    if head.reading == "normal":
        masses = [by_group[:, 0]]
    elif head.reading == "ordinal":
        masses = [by_group.sum(axis=1)]
    else:
        weights = [w.numpy() for term, w in zip(loss.terms, loss.weights, strict=True) if term.kind != "f1"]
        masses = [by_group @ weight for weight in weights]
    totals = tuple(mass.astype(np.float64).reshape(len(rows), head.groups).sum(axis=1) for mass in masses)
    return HeadTarget(head, _on(loss, device), tensor.to(device), totals, cfg.balance.weights.get(head.name, 1.0))


def _on(loss: HeadLoss, device: torch.device) -> HeadLoss:
    return HeadLoss(loss.terms, tuple(w.to(device) for w in loss.weights), loss.log_prior.to(device))


def step_totals(targets: Sequence[HeadTarget], step: Step) -> NDArray[np.float32]:
    """Return what all rows of a step count in each term, over the heads one after the other."""
    return np.array([_total(mass, step) for target in targets for mass in target.masses], dtype=np.float32)


def _total(mass: NDArray[np.float64], step: Step) -> float:
    if step.mixes is None:
        return float(mass[step.rows].sum())
    # A partner of -1 stands for nobody, and its share is 0.
    share = step.mixes.share.astype(np.float64)
    return float((share * mass[step.rows] + (1 - share) * mass[step.mixes.partner]).sum())
