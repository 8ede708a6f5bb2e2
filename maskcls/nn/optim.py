"""Parameter groups, the optimizer, the learning rate as a function of the step, and the average of the weights."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from maskcls.nn.network import Network

Slot = tuple[dict[str, Any], str]  # where a module keeps a tensor, and under which name


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
    groups = [g for g in groups if g["params"]]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=_fused_runs(groups) or None)


def _fused_runs(groups: list[dict[str, Any]]) -> bool:
    """Tell whether torch's single-kernel step serves these parameters; elsewhere torch chooses for itself.

    On the CPU the usual step is a loop of a dozen calls a parameter: on two cores fused saves 17 ms a step of a
    mobilenetv4_conv_small. It walks a parameter and its gradient by address, so on the CPU a gradient of another
    memory format is taken in the wrong order without a word. Gradients from `backward` share their parameter's
    format (torch's "default gradient layouts"); one assigned by hand must as well.
    """
    parameters = [p for group in groups for p in group["params"]]
    return all(p.device.type in ("cpu", "cuda") and p.dtype == torch.float32 for p in parameters)


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


class Average:
    """A moving average of a network: parameters and floating-point buffers averaged, such as a norm's statistics.

    Buffers of whole numbers are copied, those outside the state dict stay as they are, and a tensor that several
    modules share is taken in once.

    module   the average: a network of its own, in eval mode and without gradients.
    """

    def __init__(self, network: Network, *, decay: float, power: float) -> None:
        self.decay, self.power = decay, power
        self.module = copy.deepcopy(network).eval().requires_grad_(False)
        self._source = network
        # Found once: to walk the modules at every step takes longer than to average them.
        self._groups: dict[tuple[torch.device, torch.dtype], list[tuple[Slot, Slot]]] = {}
        for mine, theirs in zip(_slots(self.module), _slots(network), strict=True):
            tensor: Tensor = mine[0][mine[1]]
            self._groups.setdefault((tensor.device, tensor.dtype), []).append((mine, theirs))

    @torch.no_grad()
    def update(self, network: Network, *, step: int) -> None:
        """Take in the weights of `network`, the one this is the average of, after `step` >= 1 finished steps."""
        assert network is self._source, "an average follows one network"
        weight = 1 - min(self.decay, 1 - step**-self.power)
        for (_, dtype), pairs in self._groups.items():
            mine = [slots[name] for (slots, name), _ in pairs]
            theirs = [slots[name] for _, (slots, name) in pairs]
            if dtype.is_floating_point:
                torch._foreach_lerp_(mine, theirs, weight)
            else:
                torch._foreach_copy_(mine, theirs)


def build_ema(network: Network, *, decay: float, power: float) -> Average:
    """Build an exponential moving average of the weights whose decay warms up with the step.

    After n updates the decay in force is 1 - n ** -power, at most `decay`: early averages forget the random start
    quickly, where a fixed decay would still hold 0.9998 ** 800 = 85 % of it after 800 steps. Pass the number of
    finished steps to every `update`, since the average counts nothing itself. The network stands on its device already.
    """
    return Average(network, decay=decay, power=power)


def _slots(network: nn.Module) -> list[Slot]:
    """Return where every parameter, and every buffer of the state dict, is kept; a shared one under its first place.

    The place, not the tensor, since moving a network to another memory format puts new buffers there.
    """
    found: dict[int, Slot] = {}
    for module in network.modules():
        for slots in (module._parameters, module._buffers):
            for name, tensor in slots.items():
                if tensor is not None and name not in module._non_persistent_buffers_set:
                    found.setdefault(id(tensor), (slots, name))
    return list(found.values())
