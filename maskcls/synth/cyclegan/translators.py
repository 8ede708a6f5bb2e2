"""The generators of CycleGAN, which make an image from an image: a ResNet and a U-Net. Pixels lie in [-1, 1].

B images, H and W their height and width.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, assert_never

import torch
from torch import Tensor, nn

from maskcls.synth.cyclegan.padding import Border, padded_convolution

MOST_HALVINGS = 8  # of the U-Net, as in pix2pix for 256 x 256
WIDEST_FACTOR = 8  # times the width: no layer of the U-Net has more channels


@dataclass(frozen=True)
class TranslatorShape:
    """Everything needed to build a generator again.

    network   "resnet" or "unet".
    width     channels of the first layer.
    blocks    residual blocks (resnet).
    padding   what convolutions see beyond the border: "reflect" or "zero".
    upsample  how features are enlarged: "resize" (nearest, then a convolution) or "transposed" convolutions.
    size      height and width of the images in pixels, multiples of 16.
    """

    network: Literal["resnet", "unet"]
    width: int
    blocks: int
    padding: Border
    upsample: Literal["transposed", "resize"]
    size: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return {**asdict(self), "size": list(self.size)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild a shape from `to_json` data."""
        return cls(**{**data, "size": tuple(data["size"])})


def build_translator(shape: TranslatorShape, generator: torch.Generator) -> nn.Module:
    """Build a generator (B, 3, H, W) -> (B, 3, H, W) whose weights are drawn from N(0, 0.02)."""
    match shape.network:
        case "resnet":
            network: nn.Module = ResNetTranslator(shape)
        case "unet":
            network = UNetTranslator(shape)
        case _:
            assert_never(shape.network)
    return drawn_weights(network, generator)


def drawn_weights(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw the weights of all convolutions from N(0, 0.02) and set their biases to 0, and return the network.

    Source: section 7.1 of the paper. Instance normalisation has no weights here.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def halvings(size: tuple[int, int]) -> int:
    """Return how often the U-Net halves images of this size (height, width): as often as both sides can be, at most 8.

    >>> [halvings(size) for size in ((16, 16), (64, 48), (256, 256), (64, 64))]
    [4, 4, 8, 6]
    """
    return next(n for n in range(MOST_HALVINGS, -1, -1) if all(side % 2**n == 0 for side in size))


class ResNetTranslator(nn.Module):
    """Residual blocks between two halvings and two enlargements of the image (Johnson et al. 2016, arXiv:1603.08155).

    With width w: 7x7 to w, two 3x3 of stride 2 to 2w and 4w, the blocks, two enlargements to 2w and w, 7x7 to 3, tanh.
    """

    def __init__(self, shape: TranslatorShape) -> None:
        super().__init__()
        w, padding = shape.width, shape.padding
        layers = [*padded_convolution(3, w, kernel=7, border=3, padding=padding), *_normed(w)]
        for channels in (w, 2 * w):
            halved = padded_convolution(channels, 2 * channels, kernel=3, stride=2, border=1, padding=padding)
            layers += [*halved, *_normed(2 * channels)]
        layers += [ResidualBlock(4 * w, padding) for _ in range(shape.blocks)]
        for channels in (4 * w, 2 * w):
            layers += [*_enlarged(channels, channels // 2, shape), *_normed(channels // 2)]
        layers += [*padded_convolution(w, 3, kernel=7, border=3, padding=padding, bias=True), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the translated images."""
        translated: Tensor = self.layers(images_BCHW)
        return translated


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions whose result is added to their input."""

    def __init__(self, channels: int, padding: Border) -> None:
        super().__init__()
        first = padded_convolution(channels, channels, kernel=3, border=1, padding=padding)
        second = padded_convolution(channels, channels, kernel=3, border=1, padding=padding)
        self.layers = nn.Sequential(*first, *_normed(channels), *second, nn.InstanceNorm2d(channels))

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Return the features with what the block adds."""
        added: Tensor = self.layers(features_BCHW)
        return features_BCHW + added


class UNetTranslator(nn.Module):
    """Halvings and enlargements with a connection between layers of equal size (Ronneberger et al. 2015,
    arXiv:1505.04597; in the form of pix2pix, Isola et al. 2017, arXiv:1611.07004, without its dropout)."""

    def __init__(self, shape: TranslatorShape) -> None:
        super().__init__()
        depth = halvings(shape.size)
        wide = [3, *(shape.width * min(2**level, WIDEST_FACTOR) for level in range(depth))]
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        for level in range(depth):
            outer, inner = level == 0, level == depth - 1
            # The innermost may have one pixel, of which a normalisation over the image would leave nothing.
            plain = outer or inner
            halved = padded_convolution(
                wide[level], wide[level + 1], kernel=4, stride=2, border=1, padding=shape.padding, bias=plain
            )
            before: list[nn.Module] = [] if outer else [nn.LeakyReLU(0.2)]
            after: list[nn.Module] = [] if plain else [nn.InstanceNorm2d(wide[level + 1])]
            self.down.append(nn.Sequential(*before, *halved, *after))
            enlarged = _enlarged(wide[level + 1] * (1 if inner else 2), wide[level], shape, bias=outer)
            end: nn.Module = nn.Tanh() if outer else nn.InstanceNorm2d(wide[level])
            self.up.append(nn.Sequential(nn.ReLU(), *enlarged, end))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the translated images."""
        features = [images_BCHW]
        for down in self.down:
            features.append(down(features[-1]))
        result: Tensor = self.up[-1](features[-1])
        for level in range(len(self.up) - 2, -1, -1):
            result = self.up[level](torch.cat([features[level + 1], result], 1))
        return result


def _normed(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU()]


def _enlarged(channels: int, out_channels: int, shape: TranslatorShape, *, bias: bool = False) -> list[nn.Module]:
    """Return the layers that double height and width."""
    if shape.upsample == "transposed":
        return [nn.ConvTranspose2d(channels, out_channels, 4, 2, 1, bias=bias)]
    convolution = padded_convolution(channels, out_channels, kernel=3, border=1, padding=shape.padding, bias=bias)
    return [nn.Upsample(scale_factor=2, mode="nearest"), *convolution]
