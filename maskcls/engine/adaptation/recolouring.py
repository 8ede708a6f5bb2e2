"""CORAL on a network: the moments of its pooled features, and the network with their map before its heads.

V views of a photo, B batch, D features.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import Accelerator
from maskcls.engine.infer import Predictor, Reader, passes, prepare
from maskcls.nn.network import Network
from maskcls.results.shift.coral import FeatureMap, FeatureMoments, pulled_in
from maskcls.viewnames import parse_views


class Recolouring(nn.Module):
    """Map pooled features (B, D) with an affine map, in float32 under every precision."""

    matrix_DD: Tensor
    bias_D: Tensor

    def __init__(self, mapping: FeatureMap) -> None:
        """Keep the map as float32 buffers."""
        super().__init__()
        self.register_buffer("matrix_DD", torch.from_numpy(mapping.matrix_DD.astype(np.float32)))
        self.register_buffer("bias_D", torch.from_numpy(mapping.bias_D.astype(np.float32)))

    def forward(self, feature_BD: Tensor) -> Tensor:
        """Return the mapped features (B, D) float32."""
        with torch.autocast(feature_BD.device.type, enabled=False):
            mapped_BD: Tensor = feature_BD.float() @ self.matrix_DD + self.bias_D
        return mapped_BD


def with_feature_map(network: Network, mapping: FeatureMap) -> Network:
    """Return a copy of the network whose heads get the mapped features; the trunk's weights are shared."""
    mapped = copy.copy(network)
    # A shallow copy of a module shares the dictionary of its parts.
    mapped._modules = dict(network._modules)
    mapped.trunk = nn.Sequential(network.trunk, Recolouring(mapping))
    return mapped


@torch.inference_mode()
def feature_moments(
    predictor: Predictor,
    reader: Reader,
    *,
    accelerator: Accelerator,
    execution: Execution,
    on_images: Callable[[int], None] = lambda count: None,
) -> FeatureMoments:
    """Return the moments of the pooled features of the reader's rows, every view of a photo counted once.

    Features far from all others are pulled in before, see `pulled_in`. In float64 in the order of the rows, so the
    moments depend on the batch size by rounding alone.
    """
    ready, views = prepare(predictor, accelerator, execution), len(parse_views(reader.views))
    found = []
    for places, (features,) in passes([ready], reader, execution, call=_features):
        found.append(features.float().cpu().numpy()[np.tile(places >= 0, views)])
        on_images(int((places >= 0).sum()))
    return FeatureMoments.of(pulled_in(np.concatenate(found)))


def _features(network: Network, images_BCHW: Tensor) -> Tensor:
    feature_BD: Tensor = network.trunk(images_BCHW)
    return feature_BD
