"""AdaBN: the statistics of batch norms re-estimated on the photos to predict.

B photos, H height, W width.

Reference: Li et al. 2016, "Revisiting Batch Normalization For Practical Domain Adaptation", arXiv:1603.04779.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from maskcls.nn.network import Network


def has_batch_norm(network: Network) -> bool:
    """Tell whether the network has a batch norm with statistics that can be re-estimated."""
    return any(isinstance(module, _BatchNorm) and module.track_running_stats for module in network.modules())


@torch.no_grad()
def with_batch_statistics(network: Network, images_BCHW: Tensor) -> Network:
    """Return a copy in eval mode whose batch norms have the mean and variance of their inputs on these images.

    All images are one batch, so every layer is normalised with its own new statistics before the next one is measured,
    and the result does not depend on how the images are divided. Weights, and all other layers, stay as they are.

    images_BCHW  float32 (B, 3, H, W), normalised; at least two.

    Raises ValueError for a network without batch norm.
    """
    if not has_batch_norm(network):
        raise ValueError("the network has no batch norm")
    adapted = copy.deepcopy(network).eval().requires_grad_(False)
    norms = [one for one in adapted.modules() if isinstance(one, _BatchNorm) and one.track_running_stats]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0  # the new statistics replace the old ones
        nn.Module.train(norm, True)
    adapted.trunk(images_BCHW)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    return adapted.eval()
