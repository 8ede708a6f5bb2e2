"""A few noise photos on disk, a spec that changes nothing, and a network small enough to follow by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from maskcls.data.dataset import Photos
from maskcls.data.views.transforms import ViewSpec
from maskcls.nn.heads import Head
from maskcls.nn.network import Network

HEIGHT, WIDTH = 24, 18

PLAIN = ViewSpec(
    crop=(1.0, 1.0),
    size=(HEIGHT, WIDTH),
    hflip=0.0,
    geometry=0.0,
    shift=0.0,
    scale=0.0,
    rotate_deg=0.0,
    colour=0.0,
    brightness=0.0,
    contrast=0.0,
    cutout=0.0,
    cutout_size=0.3,
    gray=0.0,
    clahe=0.0,
    sharpen=0.0,
    blur=0.0,
    mean=(0.5, 0.4, 0.3),
    std=(0.25, 0.2, 0.3),
)
# Every random step, each with probability one half.
LIVELY = replace(
    PLAIN,
    hflip=0.5,
    geometry=0.5,
    shift=0.1,
    scale=0.2,
    rotate_deg=20.0,
    colour=0.5,
    brightness=0.3,
    contrast=0.3,
    cutout=0.5,
)


def noise(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return one noise image, uint8 (H, W, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_photos(root: Path, count: int) -> list[str]:
    """Write `count` different PNG photos below root; returns their names."""
    names = [f"{i}.png" for i in range(count)]
    for seed, name in enumerate(names):
        Image.fromarray(noise(seed)).save(root / name)
    return names


def open_photos(root: Path, names: list[str], *specs: ViewSpec, seed: int = 0) -> Photos:
    """Open photos whose ids are their names."""
    return Photos(root, names, names, specs or (PLAIN,), seed=seed)


def small_network(classes: Mapping[str, Head | int], *, seed: int = 0) -> Network:
    """Return a network of one convolution whose heads are random, not zero, so that images matter."""
    torch.manual_seed(seed)
    trunk = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return wake(Network(trunk, 4, classes))


def wake(network: Network) -> Network:
    """Give the heads, and the statistics of every BatchNorm, random values."""
    for parameter in network.heads.parameters():
        nn.init.normal_(parameter)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network
