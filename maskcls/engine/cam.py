"""Class activation maps by Grad-CAM: which part of an image raises the logit of a class.

Source: Selvaraju et al. 2017, arXiv:1610.02391. The feature maps are weighted by the mean gradient of the class's
logit and summed; negative sums are set to 0.

B images, C channels, h x w the feature map's places, H x W pixels of the network's view, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import move_network, normalise
from maskcls.engine.infer import Predictor
from maskcls.errors import UsageError
from maskcls.labels import Floats, Ints
from maskcls.nn.class_logits import task_logits
from maskcls.nn.network import Network

BATCH = 32  # images per pass
EXACT = Execution("fp32", "contiguous")


@dataclass(frozen=True)
class ExplainedLayer:
    """The layer whose output is explained.

    name      of the module in the trunk.
    channels  of its output.
    last      whether they are the last axis (B, h, w, C), as in Swin; else (B, C, h, w). Tokens are always (B, T, C).
    prefix    tokens before those of the places, such as the class token.
    """

    name: str
    channels: int
    last: bool
    prefix: int


def explained_layer(trunk: nn.Module) -> ExplainedLayer:
    """Return the end of the trunk's last stage, by what timm says of it.

    In a transformer with class tokens, that is the input of the last block's attention: behind it, the class token no
    longer depends on the other tokens. Raises UsageError for a backbone of which timm does not know the stages.
    """
    facts: Any = getattr(trunk, "feature_info", None)
    stages = getattr(facts, "info", facts)
    if not stages or "module" not in stages[-1]:
        raise _unknown(trunk, "timm names no stages of it")
    name, channels = stages[-1]["module"], stages[-1]["num_chs"]
    if hasattr(trunk, "num_prefix_tokens"):
        name = f"{name}.norm1"
    if name not in dict(trunk.named_modules()):
        raise _unknown(trunk, f"it has no layer {name}")
    last = getattr(trunk, "output_fmt", "NCHW") == "NHWC"
    return ExplainedLayer(name, channels, last, getattr(trunk, "num_prefix_tokens", 0))


def cam_grids(
    predictor: Predictor, images_BHWC: Tensor, task: str, class_B: Ints, given_B: Ints, device: torch.device
) -> Floats:
    """Return one map per image at the resolution of the feature map, (B, h, w) float32 in [0, 1], scaled per image.

    images_BHWC  the network's views, uint8.
    class_B      int64, the class of the task that is explained.
    given_B      int64, for a head that depends on another task: the class of that task; 0 otherwise.

    A map is 0 everywhere where nothing raises the logit. It is computed in fp32. Raises UsageError for a backbone whose
    feature map has no places.
    """
    network, layer = predictor.network.eval(), explained_layer(predictor.network.trunk)
    move_network(network, device, EXACT)
    parts = []
    for first in range(0, len(images_BHWC), BATCH):
        rows = slice(first, first + BATCH)
        images = normalise(
            images_BHWC[rows].to(device), mean=predictor.spec.mean, std=predictor.spec.std, execution=EXACT
        )
        with torch.enable_grad(), _recorded(network.trunk, layer) as outputs:
            logits = task_logits(network.specs, network(images), task, predictor.space)
            index = torch.arange(len(images), device=device)
            chosen = logits[index, torch.as_tensor(given_B[rows]), torch.as_tensor(class_B[rows])]
            if not outputs:
                raise _unknown(network.trunk, f"layer {layer.name} was not used, or gave no tensor")
            (slope,) = torch.autograd.grad(chosen.sum(), outputs[0])
        features = outputs[0].detach()
        parts.append(_weighted(*(_places(part, layer, network, predictor.spec.size) for part in (features, slope))))
    return np.stack([_scaled(grid) for part in parts for grid in part])


def enlarged(grid_hw: Floats, size: tuple[int, int]) -> Floats:
    """Return a map at (height, width) in pixels, bilinear, scaled to [0, 1] again."""
    height, width = size
    return _scaled(np.asarray(cv2.resize(grid_hw, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32))


def energy_inside(cam_HW: Floats, box: tuple[int, int, int, int]) -> float:
    """Return the share of a map's sum inside a box (left, top, right, bottom) in pixels; NaN for an empty map.

    Source: the energy-based pointing game of Wang et al. 2020, arXiv:1910.01279.
    """
    left, top, right, bottom = box
    total = float(cam_HW.sum(dtype=np.float64))
    return float(cam_HW[top:bottom, left:right].sum(dtype=np.float64)) / total if total else float("nan")


@contextmanager
def _recorded(trunk: nn.Module, layer: ExplainedLayer) -> Iterator[list[Tensor]]:
    """Yield a list that gets the layer's output in the next pass, as the start of the computation that is derived."""
    outputs: list[Tensor] = []

    def record(module: nn.Module, args: Any, output: Any) -> Any:
        if not isinstance(output, Tensor):
            return None
        start = output.detach().requires_grad_()
        outputs.append(start)
        return start.clone()  # later layers may change it in place, which torch refuses for the start itself

    handle = trunk.get_submodule(layer.name).register_forward_hook(record)
    try:
        yield outputs
    finally:
        handle.remove()


def _places(output: Tensor, layer: ExplainedLayer, network: Network, size: tuple[int, int]) -> Tensor:
    """Return a layer's output or gradient as (B, C, h, w)."""
    if output.ndim == 3:
        height, width = _grid(network.trunk, size)
        tokens = output[:, layer.prefix :]
        if tokens.shape[1] == height * width:
            return tokens.reshape(len(tokens), height, width, -1).permute(0, 3, 1, 2)
    elif output.ndim == 4:
        found = output.permute(0, 3, 1, 2) if layer.last else output
        # A map whose axes are taken for each other has a plausible shape, and shows nonsense.
        if found.shape[1] == layer.channels:
            return found
    raise _unknown(network.trunk, f"layer {layer.name} has an output of shape {tuple(output.shape)}")


def _grid(trunk: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Return how many patches (rows, columns) cover an image of this size."""
    embedding: Any = getattr(trunk, "patch_embed", None)
    if not hasattr(embedding, "dynamic_feat_size"):
        return 0, 0
    height, width = embedding.dynamic_feat_size(size)
    return int(height), int(width)


def _weighted(features_BChw: Tensor, slope_BChw: Tensor) -> Floats:
    """Return the sum of the features weighted by their mean gradient, without its negative part, (B, h, w)."""
    weight = slope_BChw.mean(dim=(2, 3), keepdim=True)
    return np.asarray((weight * features_BChw).sum(dim=1).clamp(min=0).float().cpu().numpy(), dtype=np.float32)


def _scaled(map_hw: Floats) -> Floats:
    """Return a map with its smallest value at 0 and its largest at 1; one that is equal everywhere is 0."""
    low, high = map_hw.min(), map_hw.max()
    return np.zeros_like(map_hw) if high <= low else np.asarray((map_hw - low) / (high - low), dtype=np.float32)


def _unknown(trunk: nn.Module, reason: str) -> UsageError:
    return UsageError(
        "no activation map can be computed for this backbone",
        where=type(trunk).__name__,
        got=reason,
        expected="feature maps, or tokens of a grid of patches",
        fix="leave the maps out: --no-maps of explain, or report without --cam",
    )
