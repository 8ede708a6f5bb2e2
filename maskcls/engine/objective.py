"""The training objective of a network, from a configuration: heads, targets and losses.

N rows of the manifest, R training rows, B rows of a piece, O outputs of a head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskcls.engine.step_plan import StepRows
from maskcls.labels import Floats, Ints
from maskcls.nn.heads import JOINT, Head, Reading, plain_heads
from maskcls.nn.losses import HeadLoss, build_loss, f1_sums, gaussian, linear_terms, ordinal
from maskcls.nn.targets import target_rows
from maskcls.schema import AgeConfig, Config


def build_heads(cfg: Config) -> dict[str, Head]:
    """Return the heads of one network, by name."""
    heads = plain_heads("joint" if cfg.model.heads == JOINT else "multi", cfg.space)
    if cfg.binned is not None and cfg.age != AgeConfig() and JOINT not in heads:
        name, bins, age = cfg.binned.name, cfg.binned.bins, cfg.age
        groups = len(cfg.space.task(age.given).classes) if age.given else 1
        edges = bins if age.fine_bins is None else age.fine_bins
        heads[name] = Head(name, len(bins) + 1, _reading(age), bins, edges, age.given, groups)
    hidden = _hidden_units(cfg)
    return {
        name: replace(head, reading="sigmoid" if _of_sigmoids(head, cfg) else head.reading, hidden=hidden)
        for name, head in heads.items()
    }


def _reading(age: AgeConfig) -> Reading:
    """Return how the age head's outputs are read; `_of_sigmoids` may change a softmax into sigmoids."""
    match age.head:
        case "bands" | "fine":
            return "softmax"
        case "ordinal" | "normal":
            return age.head
        case _:
            assert_never(age.head)


def _hidden_units(cfg: Config) -> int:
    fitted = cfg.model.train == "heads" or cfg.train.start_heads == "fitted"
    return cfg.heads.hidden if fitted and cfg.heads.kind == "mlp" else 0


def _of_sigmoids(head: Head, cfg: Config) -> bool:
    fitted = cfg.model.train == "heads"  # its heads have no loss of `loss`
    return not fitted and head.reading == "softmax" and [term.kind for term in cfg.loss.terms(head.name)] == ["bce"]


@dataclass(frozen=True)
class HeadTarget:
    """The targets and the loss of one head.

    rows    (N, G * K) float32 target rows, see `losses`; on the device, so that a step transfers only row numbers.
    masses  per term of `per_row`, (N,) float64 on the CPU: the weight of each row, by which the term is normalised.
    weight  factor of this head in the sum over heads.
    """

    head: Head
    loss: HeadLoss
    rows: Tensor
    masses: tuple[NDArray[np.float64], ...]
    weight: float = 1.0

    @property
    def f1(self) -> float:
        """The factor of the soft F1 term in the loss; 0 without this term."""
        match self.head.reading:
            case "softmax" | "sigmoid":
                return sum(term.factor for term in self.loss.terms if term.kind == "f1")
            case "ordinal" | "normal":
                return 0.0
            case _:
                assert_never(self.head.reading)

    def per_row(self, logits_BO: Tensor, target_BX: Tensor) -> list[tuple[float, Tensor]]:
        """Return (factor, loss summed over rows, a scalar) of every term that is a sum over rows, as in `masses`."""
        logits, target = self._by_group(logits_BO, target_BX)
        match self.head.reading:
            case "ordinal":
                return [(1.0, ordinal(logits, target).sum())]
            case "normal":
                return [(1.0, gaussian(logits, target).sum())]
            case "softmax" | "sigmoid":
                return [(factor, rows.sum()) for factor, rows, _ in linear_terms(self.loss, logits, target)]
            case _:
                assert_never(self.head.reading)

    def sums(self, logits_BO: Tensor, target_BX: Tensor) -> Tensor:
        """Return the sums of the soft F1 (3, K); see `f1_sums`."""
        return f1_sums(*self._by_group(logits_BO, target_BX))

    def _by_group(self, logits_BO: Tensor, target_BX: Tensor) -> tuple[Tensor, Tensor]:
        # The outputs for other classes of the given task have a target of zeros: no loss and no gradient.
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
    """Return the targets of every head, by name; arguments as in `target_rows`.

    train_R  int64 training rows; class counts, if a loss needs them, are counted over these rows.
    """
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
    match head.reading:
        case "normal":
            masses = [by_group[:, 0]]
        case "ordinal":
            masses = [by_group.sum(axis=1)]
        case "softmax" | "sigmoid":
            masses = [by_group @ weight.numpy() for _, weight in loss.linear]
        case _:
            assert_never(head.reading)
    totals = tuple(mass.astype(np.float64).reshape(len(rows), head.groups).sum(axis=1) for mass in masses)
    return HeadTarget(head, _on(loss, device), tensor.to(device), totals, cfg.balance.weights.get(head.name, 1.0))


def _on(loss: HeadLoss, device: torch.device) -> HeadLoss:
    return HeadLoss(loss.terms, tuple(w.to(device) for w in loss.weights), loss.log_prior.to(device))


def step_totals(targets: Sequence[HeadTarget], step: StepRows) -> NDArray[np.float32]:
    """Return the total weight of a step's rows in each term, (terms,) float32, head after head."""
    return np.array([_total(mass, step) for target in targets for mass in target.masses], dtype=np.float32)


def _total(mass: NDArray[np.float64], step: StepRows) -> float:
    if step.mixes is None:
        return float(mass[step.rows].sum())
    # A partner of -1 means no partner; its share is 0.
    share = step.mixes.share.astype(np.float64)
    return float((share * mass[step.rows] + (1 - share) * mass[step.mixes.partner]).sum())
