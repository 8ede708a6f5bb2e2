"""The state of torch's generators in all processes, so that a training can continue in the middle of an epoch.

P processes. Everything else that is random is a function of seed, epoch and row; only dropout draws from generators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from accelerate import Accelerator
from torch import Tensor


def generator_states(accelerator: Accelerator) -> dict[str, Tensor]:
    """Return the states (P, bytes) uint8 of the generators that dropout uses: of the CPU, and of a GPU by its type.

    All processes call this together.
    """
    device = accelerator.device
    return {name: _of_all(_READ[name](device), accelerator) for name in _names(device)}


def restore_generators(states: Mapping[str, Tensor], accelerator: Accelerator) -> bool:
    """Set this process's generators to the states; False, with nothing changed, where they are of another machine.

    That is: of another number of processes, or of another kind of device.
    """
    names = _names(accelerator.device)
    if set(states) != set(names) or any(len(states[name]) != accelerator.num_processes for name in names):
        return False
    for name in names:
        _WRITE[name](states[name][accelerator.process_index].clone(), accelerator.device)
    return True


def _names(device: torch.device) -> tuple[str, ...]:
    return ("cpu", device.type) if device.type in ("cuda", "mps") else ("cpu",)


def _of_all(state: Tensor, accelerator: Accelerator) -> Tensor:
    if accelerator.num_processes == 1:
        return state.unsqueeze(0)
    gathered: Tensor = accelerator.gather(state.unsqueeze(0).to(accelerator.device))
    return gathered.cpu()


_READ: dict[str, Callable[[torch.device], Tensor]] = {
    "cpu": lambda _: torch.get_rng_state(),
    "cuda": lambda device: torch.cuda.get_rng_state(device),
    "mps": lambda _: torch.mps.get_rng_state(),
}
_WRITE: dict[str, Callable[[Tensor, torch.device], None]] = {
    "cpu": lambda state, _: torch.set_rng_state(state),
    "cuda": lambda state, device: torch.cuda.set_rng_state(state, device),
    "mps": lambda state, _: torch.mps.set_rng_state(state),
}
