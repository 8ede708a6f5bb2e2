"""Which image sizes a timm backbone takes. Tried on torch's meta device: shapes are computed, and no values."""

from __future__ import annotations

import timm
import torch

from maskcls.backbone import Backbone
from maskcls.errors import ConfigError
from maskcls.nn.backbone_facts import create_options, nearest_whole

Size = tuple[int, int]  # (height, width) in pixels

# What timm's networks and torch's operations raise for a size that does not fit.
REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
STEP = 32  # pixels: most networks halve an image five times


def takes(backbone: Backbone, size: Size) -> bool:
    """Return whether a backbone can be built for images of this size, and gives features of them."""
    try:
        with torch.device("meta"), torch.no_grad():
            trunk = timm.create_model(backbone.name, num_classes=0, **create_options(backbone, size)).eval()
            return bool(trunk(torch.zeros(1, 3, *size)).ndim == 2)
    except REFUSALS:
        return False


def sizes_near(backbone: Backbone, size: Size) -> list[Size]:
    """Return sizes that a backbone takes: the nearest multiple of STEP, and the size its weights were trained with."""
    facts = timm.get_pretrained_cfg(backbone.name)
    own = [facts.input_size[1:]] if facts else []
    asked = dict.fromkeys([nearest_whole(size, (STEP, STEP)), *own])
    return [one for one in asked if takes(backbone, one)]


def size_error(backbone: Backbone, size: Size, reason: str) -> ConfigError | None:
    """Return the error of a backbone that does not take images of this size; None if the size is not to blame.

    reason  what timm or torch said.
    """
    if takes(backbone, size) or not (sizes := sizes_near(backbone, size)):
        return None
    return ConfigError(
        "the backbone does not take images of this size",
        where=f"transforms.size (model.backbone={backbone.name})",
        got=f"{size[0]} x {size[1]} pixels: {reason}",
        expected=f"{' or '.join(f'{height} x {width}' for height, width in sizes)} pixels, for example",
        fix=f"set transforms.size=[{sizes[0][0]}, {sizes[0][1]}], or choose another backbone",
    )
