"""What timm knows about the images of a backbone: how their values are normalised, and a size they must have.

H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import timm
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import PatchEmbed  # type: ignore[attr-defined]

from maskcls.backbone import Backbone
from maskcls.errors import ConfigError

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation per channel, RGB, of pixel values in [0, 1]."""

    mean: Channels = IMAGENET_DEFAULT_MEAN
    std: Channels = IMAGENET_DEFAULT_STD


def timm_normalisation(backbone: str) -> Normalisation:
    """Return the normalisation of a backbone's pretrained weights in timm; ImageNet's for a name timm does not have."""
    facts = timm.get_pretrained_cfg(backbone)
    if facts is None:
        return Normalisation()
    (red, green, blue), (red_std, green_std, blue_std) = facts.mean, facts.std
    return Normalisation((red, green, blue), (red_std, green_std, blue_std))


def fixed_size(backbone: str) -> tuple[int, int] | None:
    """Return the (height, width) in pixels for which a network of a fixed input size was made; None for others."""
    facts = timm.get_pretrained_cfg(backbone)
    if facts is None or not facts.fixed_input_size:
        return None
    _, height, width = facts.input_size
    return height, width


def create_options(backbone: Backbone, size: tuple[int, int]) -> dict[str, Any]:
    """Return the further arguments of timm.create_model: the size, (height, width) in pixels, and the options."""
    facts = timm.get_pretrained_cfg(backbone.name)
    of_size = {"img_size": size} if facts and facts.fixed_input_size else {}
    return {**of_size, **backbone.options}


def patch_size(trunk: Any) -> tuple[int, int] | None:
    """Return the (height, width) of the patches that must cover an image exactly; None where any image will do."""
    embedding = getattr(trunk, "patch_embed", None)
    if not isinstance(embedding, PatchEmbed) or embedding.dynamic_img_pad:
        return None
    patch: tuple[int, int] = embedding.patch_size
    return patch


def nearest_whole(size: tuple[int, int], patch: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) nearest to `size` that patches cover exactly: `size` itself where they do.

    >>> nearest_whole((100, 75), (16, 16)), nearest_whole((96, 80), (16, 16))
    ((96, 80), (96, 80))
    """
    height, width = (max(1, round(side / step)) * step for side, step in zip(size, patch, strict=True))
    return height, width


def check_patches(trunk: Any, backbone: Backbone, size: tuple[int, int]) -> None:
    """Raise ConfigError when patches do not cover images of this (height, width) in pixels exactly.

    Some networks would stop with an error of their own, others would not look at the last rows and columns.
    """
    patch = patch_size(trunk)
    if patch is not None and (near := nearest_whole(size, patch)) != size:
        sides = f"{patch[0]}" if patch[0] == patch[1] else f"{patch[0]} and {patch[1]}"
        raise ConfigError(
            f"image height and width must be multiples of {sides}",
            where=f"transforms.size (model.backbone={backbone.name})",
            got=f"{size[0]} x {size[1]} pixels",
            expected=f"multiples of {patch[0]} x {patch[1]} pixels, the backbone's patches",
            fix=f"set transforms.size=[{near[0]}, {near[1]}]",
        )
