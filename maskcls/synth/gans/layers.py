"""Layers of the generators: initial weights, how sizes are doubled, and label embeddings.

B batch, C channels, H height, W width, T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, assert_never

import torch
from torch import Tensor, nn
from torch.nn import functional

Upsampling = Literal["transposed", "resize"]

DOUBLINGS = 4  # of the size, from the generator's first layer to its image
SPREAD = 0.02  # standard deviation of the first weights
SLOPE = 0.2  # of leaky ReLU below 0


def first_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of the smallest layer of networks for images of this size, multiples of sixteen.

    >>> first_size((64, 48))
    (4, 3)
    """
    height, width = size
    return height >> DOUBLINGS, width >> DOUBLINGS


def transposed_side(side: int, *, kernel: int, stride: int, padding: int) -> int:
    """Return the side of a transposed convolution's output: (side - 1) * stride - 2 * padding + kernel.

    >>> transposed_side(4, kernel=4, stride=2, padding=1)
    8
    """
    return (side - 1) * stride - 2 * padding + kernel


def doubling(channels: int, out: int, how: Upsampling) -> nn.Module:
    """Return layers from (B, channels, H, W) to (B, out, 2H, 2W).

    transposed  a transposed convolution 4x4 of stride 2 (Radford et al. 2016, arXiv:1511.06434). Its kernel is a
                multiple of its stride, so that all pixels get equally many contributions.
    resize      nearest neighbours, then a convolution 3x3 (Odena et al. 2016, "Deconvolution and checkerboard
                artifacts").
    """
    match how:
        case "transposed":
            return nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1)
        case "resize":
            return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, out, 3, padding=1))
        case _:
            assert_never(how)


def initialise(network: nn.Module) -> None:
    """Draw the first weights as Radford et al. 2016 do: normal with standard deviation 0.02, about 1 for norms.

    They come from torch's global generator of the CPU. Biases are 0. Embeddings are drawn in the same way; the
    generator draws its own again.
    """
    for module in network.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(weight, nn.Parameter):
            norm = isinstance(module, nn.BatchNorm2d | nn.GroupNorm)
            nn.init.normal_(weight, mean=1.0 if norm else 0.0, std=SPREAD)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)


class LabelEmbedding(nn.Module):
    """One embedding per task.

    classes  number of classes of each task. size: of each embedding.
    """

    def __init__(self, classes: Sequence[int], size: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(count, size) for count in classes)

    def joined(self, label_BT: Tensor) -> Tensor:
        """Return the embeddings of all tasks side by side, (B, T * size)."""
        return torch.cat(self._each(label_BT), dim=1)

    def summed(self, label_BT: Tensor) -> Tensor:
        """Return the sum of the embeddings of all tasks, (B, size)."""
        return torch.stack(self._each(label_BT)).sum(dim=0)

    def _each(self, label_BT: Tensor) -> list[Tensor]:
        return [table(label_BT[:, task]) for task, table in enumerate(self.tables)]


def with_label_channels(images_BCHW: Tensor, label_BT: Tensor, classes: Sequence[int]) -> Tensor:
    """Return the images with one channel more per class of each task: 1 everywhere for the image's class, else 0."""
    hot = [functional.one_hot(label_BT[:, task], count) for task, count in enumerate(classes)]
    planes = torch.cat(hot, dim=1).to(images_BCHW.dtype)[:, :, None, None]
    return torch.cat([images_BCHW, planes.expand(-1, -1, *images_BCHW.shape[2:])], dim=1)
