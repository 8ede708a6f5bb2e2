"""What a convolution sees beyond the border of its input. B images, C channels, H and W their size."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Border = Literal["reflect", "zero"]


def reflected(features_BCHW: Tensor, border: int) -> Tensor:
    """Extend features by `border` mirrored rows and columns on each side, without repeating the outermost ones.

    It gives what torch's ReflectionPad2d gives. That one adds its gradients in a changing order on a GPU; slices and
    flips do not, so that a training that was interrupted ends with the same bits.

    features_BCHW  float, H and W larger than border.

    >>> reflected(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 1)[0, 0, 1].tolist()
    [2.0, 1.0, 2.0, 1.0]
    """
    for axis in (-2, -1):
        before = features_BCHW.narrow(axis, 1, border).flip(axis)
        after = features_BCHW.narrow(axis, features_BCHW.shape[axis] - border - 1, border).flip(axis)
        features_BCHW = torch.cat([before, features_BCHW, after], axis)
    return features_BCHW


class Reflection(nn.Module):
    """`reflected` as a layer. border: mirrored rows and columns on each side, in pixels."""

    def __init__(self, border: int) -> None:
        super().__init__()
        self.border = border

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Return the extended features."""
        return reflected(features_BCHW, self.border)


def padded_convolution(
    channels: int, out_channels: int, *, kernel: int, stride: int = 1, border: int, padding: Border, bias: bool = False
) -> list[nn.Module]:
    """Return the layers of a convolution whose input is extended by `border` pixels on each side.

    bias  False where a normalisation follows, which would remove it again.
    """
    if padding == "zero":
        return [nn.Conv2d(channels, out_channels, kernel, stride, border, bias=bias)]
    return [Reflection(border), nn.Conv2d(channels, out_channels, kernel, stride, bias=bias)]
