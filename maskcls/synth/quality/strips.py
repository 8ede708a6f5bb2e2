"""Samples for inputs between two random ones: a smooth change shows that a generator has not memorised its photos.

S steps, Z random inputs.

Reference: Radford et al. 2016, arXiv:1511.06434, section 6.1. The way is a great circle, because the length of a random
input is nearly the same for all of them, and shorter ones never occurred in training (White 2016, arXiv:1609.04468).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maskcls.synth.gans.generator_network import generator_of
from maskcls.synth.gans.pixels import tiled, to_pixels
from maskcls.synth.loop.parts import SavedPart
from maskcls.synth.loop.step_draws import drawing

STRIPS, STEPS = 4, 8
STRIP_NOISE = 1001  # the purpose of the random inputs, a part of their key; other than those of samples


@torch.no_grad()
def input_strips(part: SavedPart, label_T: Sequence[int], *, seed: int, fold: int) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) of 4 rows with 8 samples each, between two random inputs per row.

    part     a generator of dcgan or wgan-gp. label_T: class index of each task, of all samples.
    """
    network = generator_of(part.tensors, part.facts)
    ways = []
    for row in range(STRIPS):
        source = drawing(seed, fold, row, STRIP_NOISE)
        ways.append(great_circle(torch.randn(2, network.plan.latent, generator=source), STEPS))
    label_BT = torch.tensor([list(label_T)]).repeat(STRIPS * STEPS, 1)
    return tiled(to_pixels(network(torch.cat(ways), label_BT)), STEPS)


def great_circle(ends_2Z: Tensor, steps: int) -> Tensor:
    """Return points (S, Z) from the first end to the second, at equal angles; lengths change evenly.

    >>> great_circle(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), 3)[1].mul(2**0.5).round(decimals=4).tolist()
    [2.0, 2.0]
    """
    length_2 = ends_2Z.norm(dim=1)
    unit_2Z = ends_2Z / length_2[:, None]
    angle = torch.arccos((unit_2Z[0] @ unit_2Z[1]).clamp(-1, 1))
    place_S = torch.linspace(0, 1, steps)[:, None]
    if float(torch.sin(angle)) < 1e-6:  # the same direction, or the opposite one, to which no circle is defined
        straight: Tensor = (1 - place_S) * ends_2Z[0] + place_S * ends_2Z[1]
        return straight
    first_SZ = torch.sin((1 - place_S) * angle) * unit_2Z[0]
    way_SZ: Tensor = (first_SZ + torch.sin(place_S * angle) * unit_2Z[1]) / torch.sin(angle)
    way_SZ *= (1 - place_S) * length_2[0] + place_S * length_2[1]
    return way_SZ
