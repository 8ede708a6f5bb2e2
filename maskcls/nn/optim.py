"""Parameter groups, the optimizer, the learning rate as a function of the step, and the average of the weights."""

from __future__ import annotations

import math

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn

from maskcls.nn.network import Network


def build_optimizer(
    network: Network, *, lr: float, weight_decay: float, betas: tuple[float, float], head_lr_scale: float = 1.0
) -> torch.optim.AdamW:
    """Build AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with up to four groups of parameters.

    Vectors, that is norms and biases, do not decay. head_lr_scale: the heads' learning rate over the trunk's; each
    group keeps its factor as `lr_scale`, and `set_lr` applies it.
    """
    groups = []
    for part, scale in ((network.trunk, 1.0), (network.heads, head_lr_scale)):
        trained = [p for p in part.parameters() if p.requires_grad]
        groups += [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay, "lr_scale": scale},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "lr_scale": scale},
        ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas)


def lr_at(step: int, *, peak: float, end_share: float, warmup_steps: int, total_steps: int) -> float:
    """Return the learning rate of optimizer step `step` (0-based) of `total_steps`.

    1. Linear warm-up: step s < warmup_steps uses peak * (s + 1) / warmup_steps.
    2. Cosine from peak to peak * end_share, which the last step reaches (Loshchilov and Hutter 2017, arXiv:1608.03983).
    3. Past the end it stays there.

    >>> [round(lr_at(s, peak=1.0, end_share=0.0, warmup_steps=2, total_steps=5), 3) for s in range(5)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    span = max(1, total_steps - 1 - warmup_steps)
    progress = min(1.0, (step - warmup_steps) / span)
    return peak * (end_share + (1 - end_share) * 0.5 * (1 + math.cos(math.pi * progress)))


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group to `lr` times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def build_ema(network: nn.Module, *, decay: float, power: float) -> ModelEmaV3:
    """Build an exponential moving average of the weights whose decay warms up with the step.

    After n updates the decay in force is 1 - n ** -power, at most `decay`: early averages forget the random start
    quickly, where a fixed decay would still hold 0.9998 ** 800 = 85 % of it after 800 steps. Pass the number of
    finished steps to every `update`, since the average counts nothing itself.
    """
    return ModelEmaV3(network, decay=decay, use_warmup=True, warmup_gamma=1.0, warmup_power=power)
