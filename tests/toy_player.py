"""A player of one linear layer that learns nothing useful, with a pool: what the loop must keep of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maskcls.synth.loop.step_draws import drawing


class ToyPlayer:
    """One network, one optimizer, and a pool that holds what earlier steps made."""

    def __init__(self, broken_at: int = -1) -> None:
        torch.manual_seed(0)
        self.layer, self.broken_at = nn.Linear(3, 2), broken_at
        self.networks: Mapping[str, nn.Module] = {"generator": self.layer}
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(self.layer.parameters(), lr=0.1)
        }
        self.pool_P2 = torch.zeros(0, 2)
        self.steps: list[int] = []

    def step(self, step: int) -> dict[str, float]:
        self.steps.append(step)
        made_B2 = self.layer(torch.randn(4, 3, generator=drawing(0, 0, step, 0)))
        loss = made_B2.square().mean() + (self.pool_P2.mean() if len(self.pool_P2) else 0.0) * made_B2.mean()
        self.optimizers["generator"].zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers["generator"].step()
        self.pool_P2 = torch.cat([self.pool_P2, made_B2.detach()])[-6:]
        return {"loss_generator": float("nan") if step == self.broken_at else loss.item()}

    def extra_tensors(self) -> dict[str, Tensor]:
        return {"pool": self.pool_P2}

    def load_extra(self, tensors: Mapping[str, Tensor]) -> None:
        self.pool_P2 = tensors["pool"]

    def sheet(self) -> NDArray[np.uint8]:
        return np.full((2, 3, 3), int(self.layer.weight.abs().sum() * 50) % 256, dtype=np.uint8)

    def generator(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return self.layer.state_dict(), {"kind": "toy", "size": (3, 2)}

    def critic(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"none": torch.zeros(1)}, {}
