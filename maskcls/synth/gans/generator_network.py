"""The generator of dcgan and wgan-gp: random inputs and labels become images.

B batch, Z random inputs, T tasks, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from maskcls.synth.gans.layers import LabelEmbedding, Upsampling, doubling, first_size, initialise

LABEL_SIZE = 32  # of a task's embedding


@dataclass(frozen=True)
class GeneratorPlan:
    """What a generator is built from; saved with its weights.

    size      height and width of the images, multiples of 16. latent: number of random inputs.
    width     channels of the widest image layer. classes: number of classes of each task.
    """

    size: tuple[int, int]
    latent: int
    width: int
    upsample: Upsampling
    classes: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> GeneratorPlan:
        """Rebuild a plan from `to_json` data."""
        height, width = data["size"]
        return GeneratorPlan((height, width), data["latent"], data["width"], data["upsample"], tuple(data["classes"]))


class Generator(nn.Module):
    """Random inputs (B, Z) and labels (B, T) to images (B, 3, H, W) in [-1, 1].

    Radford et al. 2016, arXiv:1511.06434: one linear layer, then four doublings of the size with batch normalisation
    and ReLU, the last one to the image with tanh. The labels are embedded and joined to the random inputs (Mirza and
    Osindero 2014, arXiv:1411.1784).
    """

    def __init__(self, plan: GeneratorPlan) -> None:
        super().__init__()
        self.plan = plan
        height, width = first_size(plan.size)
        channels = [plan.width * times for times in (8, 4, 2, 1)]
        self.labels = LabelEmbedding(plan.classes, LABEL_SIZE)
        inputs = plan.latent + LABEL_SIZE * len(plan.classes)
        self.start = nn.Sequential(
            nn.Linear(inputs, channels[0] * height * width), nn.Unflatten(1, (channels[0], height, width))
        )
        layers: list[nn.Module] = [nn.BatchNorm2d(channels[0]), nn.ReLU()]
        for before, after in pairwise(channels):
            layers += [doubling(before, after, plan.upsample), nn.BatchNorm2d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, doubling(channels[-1], 3, plan.upsample), nn.Tanh())
        initialise(self)
        for table in self.labels.parameters():  # as large as the random inputs, else labels have no effect for long
            nn.init.normal_(table)

    def forward(self, noise_BZ: Tensor, label_BT: Tensor) -> Tensor:
        """Make images (B, 3, H, W); of the same inputs the same ones in eval mode."""
        images: Tensor = self.layers(self.start(torch.cat([noise_BZ, self.labels.joined(label_BT)], dim=1)))
        return images


def generator_of(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Generator:
    """Rebuild a generator, in eval mode, from what `Player.generator` of dcgan and wgan-gp returns."""
    network = Generator(GeneratorPlan.from_json(facts["plan"]))
    network.load_state_dict(dict(tensors))
    return network.eval()
