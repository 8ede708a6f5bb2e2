"""Run models of small random networks, without a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from maskcls import config
from maskcls.engine.compute.plan import Execution
from maskcls.engine.device import start
from maskcls.engine.infer import Predictor, prepare
from maskcls.nn.heads import Head
from maskcls.nn.network import Network
from maskcls.results.photo_model import Photo
from maskcls.training.experiment import view_spec
from maskcls.training.predicting.loaded_networks import LoadedNetwork
from maskcls.training.predicting.run_model import RunModel

FINE = tuple(range(10, 90, 5))
AGES = [
    Head("age", 3, "softmax", (30, 60), (30, 60)),
    Head("age", 3, "softmax", (30, 60), FINE),
    Head("age", 3, "sigmoid", (30, 60), (30, 60)),
    Head("age", 3, "ordinal", (30, 60), FINE),
    Head("age", 3, "normal", (30, 60), (30, 60)),
    Head("age", 3, "ordinal", (30, 60), (30, 60), "gender", 2),
    Head("age", 3, "softmax", (30, 60), FINE, "mask", 3),
]


class SmallTrunk(nn.Module):
    """A convolution, an activation, and the mean over the image."""

    def __init__(self, features: int = 12) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, features, 3, stride=2)

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.relu(self.conv(images_BCHW)).mean((2, 3))
        return found


def random_network(heads: dict[str, Head], seed: int) -> Network:
    torch.manual_seed(seed)
    network = Network(SmallTrunk(), 12, heads).eval()
    with torch.no_grad():
        for parameter in network.heads.parameters():
            parameter.normal_(0, 2)
    return network


def random_run(networks: Sequence[tuple[str, int, int, Predictor]], *words: str) -> RunModel:
    """Return a run model of random networks, given by task, seed and fold."""
    cfg, _ = config.load(None, ["device.type=cpu", "device.precision=fp32", *words])
    accelerator, execution = start(cfg.device), Execution(memory_format="contiguous")
    loaded = [LoadedNetwork(task, seed, fold, "", predictor) for task, seed, fold, predictor in networks]
    return RunModel(
        cfg, loaded, [prepare(one.predictor, accelerator, execution) for one in loaded], accelerator, execution
    )


def photos_of_one_size(count: int = 6, height: int = 61, width: int = 47) -> list[Photo]:
    rng = np.random.default_rng(3)
    return list(
        rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
        // rng.integers(1, 5, (count, 1, 1, 3), dtype=np.uint8)
    )


SPEC = replace(view_spec(config.load(None, [])[0]), size=(32, 24), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))
WIDE = replace(SPEC, size=(24, 40), crop=(0.7, 0.9), crop_centre=(0.4, 0.5), mean=(0.1, 0.2, 0.3))
