"""What a kind of generator is to the training loop: networks, optimizers, and one step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Player(Protocol):
    """A kind of generator in training. Everything that a step changes is in these four: networks, optimizers, extra
    tensors, and the number of steps, which the loop counts."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """All networks by name, moving averages too."""

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """All optimizers by name."""

    def step(self, step: int) -> dict[str, float]:
        """Do one training step and return losses and watch numbers by name.

        step  the number of finished steps, from 0. Every random number is a function of (seed, fold, step, purpose).
        A number may be there in some steps only; the log has the mean of those that are there.
        """

    def extra_tensors(self) -> dict[str, Tensor]:
        """Return what else belongs to the state, such as pools of earlier images."""

    def load_extra(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `extra_tensors` returned."""

    def sheet(self) -> NDArray[np.uint8]:
        """Return a sheet (H, W, 3) RGB of samples for inputs that are the same at every call."""

    def generator(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the weights that make samples, and as JSON the facts to rebuild the network."""

    def critic(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the weights of the discriminator or critic, and as JSON the facts to rebuild it."""
