"""The discriminator of CycleGAN, which scores overlapping parts of an image: PatchGAN (arXiv:1611.07004)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskcls.synth.cyclegan.translators import drawn_weights

KERNEL = 4
MOST_HALVINGS_OF_CRITIC = 3  # with them a score sees 70 x 70 pixels
WIDEST_FACTOR_OF_CRITIC = 8


def receptive_field(halved: int) -> int:
    """Return the side, in pixels, of what one score sees: `halved` 4x4 convolutions of stride 2, then two of stride 1.

    >>> [receptive_field(halved) for halved in (1, 2, 3)]
    [16, 34, 70]
    """
    side = 1
    for stride in (1, 1, *[2] * halved):
        side = (side - 1) * stride + KERNEL
    return side


def critic_halvings(size: tuple[int, int]) -> int:
    """Return the number of convolutions of stride 2 for images of this size (height, width): at most 3, and so many
    that a score sees no more than the image, because one that sees all of it is no score of a part.

    >>> [critic_halvings(size) for size in ((16, 16), (32, 32), (64, 48), (128, 96), (256, 256))]
    [1, 1, 2, 3, 3]
    """
    fitting = [n for n in range(1, MOST_HALVINGS_OF_CRITIC + 1) if receptive_field(n) <= min(size)]
    return max(fitting)


def score_shape(size: tuple[int, int]) -> tuple[int, int]:
    """Return the number of scores of an image of this size (height, width), in rows and columns.

    >>> score_shape((256, 256)), score_shape((64, 48))
    ((30, 30), (14, 10))
    """
    height, width = (side // 2 ** critic_halvings(size) - 2 for side in size)
    return height, width


class PatchCritic(nn.Module):
    """Scores of parts of images (B, 3, H, W) in [-1, 1]: (B, 1, h, w), of any sign; 1 for real, 0 for generated."""

    def __init__(self, size: tuple[int, int], width: int) -> None:
        super().__init__()
        halved = critic_halvings(size)
        wide = [width * min(2**level, WIDEST_FACTOR_OF_CRITIC) for level in range(halved + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, width, KERNEL, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, halved + 1):
            stride = 2 if level < halved else 1
            layers += [nn.Conv2d(wide[level - 1], wide[level], KERNEL, stride, 1, bias=False)]
            layers += [nn.InstanceNorm2d(wide[level]), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide[-1], 1, KERNEL, 1, 1))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the scores."""
        scores: Tensor = self.layers(images_BCHW)
        return scores


def build_patch_critic(size: tuple[int, int], width: int, generator: torch.Generator) -> nn.Module:
    """Build a discriminator for images of this size (height, width), its weights drawn from N(0, 0.02)."""
    return drawn_weights(PatchCritic(size, width), generator)
