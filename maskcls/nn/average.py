"""Averages of weights: a moving or an equal average over the steps of a training, and one over finished networks."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)
Slot = tuple[dict[str, Any], str]  # the dict in which a module stores a tensor, and its key


class Average(Generic[N]):
    """An average of a network's parameters and floating-point buffers, such as a norm's statistics.

    Integer buffers are copied, buffers outside the state dict are not changed, and a tensor shared by several modules
    is averaged once.

    weight   function of the number of finished steps (1 or more): the weight in [0, 1] of the network's current values
             in the average; 0 skips the update.
    module   the average: a separate network in eval mode, without gradients.
    """

    def __init__(self, network: N, *, weight: Callable[[int], float]) -> None:
        self.weight = weight
        self.module: N = copy.deepcopy(network).eval().requires_grad_(False)
        self._source = network
        # Found once, because visiting the modules in every step takes longer than averaging.
        self._groups: dict[tuple[torch.device, torch.dtype], list[tuple[Slot, Slot]]] = {}
        for mine, theirs in zip(_slots(self.module), _slots(network), strict=True):
            tensor: Tensor = mine[0][mine[1]]
            self._groups.setdefault((tensor.device, tensor.dtype), []).append((mine, theirs))

    @torch.no_grad()
    def update(self, network: N, *, step: int) -> None:
        """Update the average with the weights of its network after `step` >= 1 finished steps."""
        assert network is self._source, "an average belongs to one network"
        weight = self.weight(step)
        if weight == 0:
            return
        for (_, dtype), pairs in self._groups.items():
            mine = [slots[name] for (slots, name), _ in pairs]
            theirs = [slots[name] for _, (slots, name) in pairs]
            if dtype.is_floating_point:
                torch._foreach_lerp_(mine, theirs, weight)
            else:
                torch._foreach_copy_(mine, theirs)


def build_ema(network: N, *, decay: float, power: float) -> Average[N]:
    """Build an exponential moving average of the weights whose decay warms up with the step.

    After n steps the decay is min(decay, 1 - n ** -power), so that early averages lose the random start quickly; with a
    fixed decay of 0.9998, 0.9998 ** 800 = 85 % of it would remain after 800 steps. Pass the number of finished steps to
    every `update`; the average does not count them. Move the network to its device first.
    """
    return Average(network, weight=partial(ema_weight, decay=decay, power=power))


def build_swa(network: N, *, start_step: int, every_steps: int = 1) -> Average[N]:
    """Build an equal average of the weights after start_step >= 1 finished steps, start_step + every_steps, and so on.

    Reference: Izmailov et al. 2018, arXiv:1803.05407. To average the ends of epochs, set every_steps to the steps per
    epoch and start_step to a multiple of it. Before the start the average equals the network. As in `build_ema`, only
    the step passed to `update` counts. A norm's statistics are averaged like weights, not recomputed.
    """
    return Average(network, weight=partial(swa_weight, start_step=start_step, every_steps=every_steps))


def ema_weight(step: int, *, decay: float, power: float) -> float:
    """Return the weight in [0, 1] of the current values in the exponential moving average after `step` steps.

    >>> [round(ema_weight(step, decay=0.6, power=0.75), 3) for step in (1, 2, 9)]
    [1.0, 0.595, 0.4]
    """
    return 1 - min(decay, 1 - math.pow(step, -power))


def swa_weight(step: int, *, start_step: int, every_steps: int) -> float:
    """Return the weight in [0, 1] of the current values in the equal average after `step` finished steps.

    >>> [round(swa_weight(step, start_step=2, every_steps=2), 3) for step in range(1, 9)]
    [1.0, 1.0, 0.0, 0.5, 0.0, 0.333, 0.0, 0.25]
    """
    if step <= start_step:
        return 1.0
    taken, between = divmod(step - start_step, every_steps)
    return 0.0 if between else 1 / (taken + 1)


def soup(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of the state dicts of networks with the same structure.

    Reference: Wortsman et al. 2022, arXiv:2203.05482. Floating-point tensors are summed in float64 and returned with
    the dtype and device of the first state; other tensors, such as a norm's count of batches, are copied from the last
    state. All tensors are new.

    Raises ValueError when there is no state, or names or shapes differ.

    >>> soup([{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([2.0, 4.0])}])["w"].tolist()
    [1.5, 3.0]
    """
    if not states:
        raise ValueError("a soup needs at least one state")
    first = states[0]
    for number, state in enumerate(states[1:], 2):
        if strange := sorted(first.keys() ^ state.keys()):
            raise ValueError(f"state {number} and the first do not have the same tensors: {', '.join(strange[:5])}")
        if shapes := [name for name in first if first[name].shape != state[name].shape]:
            raise ValueError(f"state {number} and the first do not have the same shapes: {', '.join(shapes[:5])}")
    return {name: _mean([state[name] for state in states]) for name in first}


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        return tensors[-1].clone()
    total = torch.zeros_like(first, dtype=torch.float64)
    for tensor in tensors:
        total += tensor.to(first.device)
    return (total / len(tensors)).to(first.dtype)


def _slots(network: nn.Module) -> list[Slot]:
    """Return the slot of every parameter and every buffer of the state dict; of a shared tensor, its first slot.

    Slots, not tensors, because moving a network to another memory format replaces its buffers.
    """
    found: dict[int, Slot] = {}
    for module in network.modules():
        for slots in (module._parameters, module._buffers):
            for name, tensor in slots.items():
                if tensor is not None and name not in module._non_persistent_buffers_set:
                    found.setdefault(id(tensor), (slots, name))
    return list(found.values())
