"""The discriminator of dcgan and the critic of wgan-gp: images and labels become one score each.

B batch, T tasks, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, assert_never

from torch import Tensor, nn

from maskcls.synth.gans.layers import DOUBLINGS, SLOPE, LabelEmbedding, first_size, initialise, with_label_channels

CriticNorm = Literal["batch", "layer", "instance", "none"]


@dataclass(frozen=True)
class CriticPlan:
    """What a discriminator or critic is built from; saved with its weights.

    size       height and width of the images, multiples of 16. width: channels of the widest layer.
    norm       batch: of a discriminator only. dropout: rate after each layer.
    condition  projection: an inner product of the labels' embedding with the features, which are summed over the image
               (Miyato and Koyama 2018, arXiv:1802.05637). concat: one more input channel per class.
    classes    number of classes of each task.
    """

    size: tuple[int, int]
    width: int
    norm: CriticNorm
    dropout: float
    condition: Literal["projection", "concat"]
    classes: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> CriticPlan:
        """Rebuild a plan from `to_json` data."""
        return CriticPlan(**{**data, "size": tuple(data["size"]), "classes": tuple(data["classes"])})


class Critic(nn.Module):
    """Images (B, 3, H, W) in [-1, 1] and labels (B, T) to scores (B,), without a sigmoid.

    Four convolutions 4x4 of stride 2 with leaky ReLU, the first one without normalisation (Radford et al. 2016,
    arXiv:1511.06434). A critic has no batch normalisation, because its penalty is on the gradient for each image alone
    (Gulrajani et al. 2017, arXiv:1704.00028).
    """

    def __init__(self, plan: CriticPlan) -> None:
        super().__init__()
        self.plan = plan
        concat = plan.condition == "concat"
        height, width = first_size(plan.size)
        channels = [3 + (sum(plan.classes) if concat else 0), *(plan.width * times for times in (1, 2, 4, 8))]
        layers: list[nn.Module] = []
        for place, (before, after) in enumerate(pairwise(channels), 1):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            pixels = height * width << 2 * (DOUBLINGS - place)
            if place > 1:
                layers += _norm(plan.norm, after, pixels)
            layers.append(nn.LeakyReLU(SLOPE))
            if plan.dropout:
                layers.append(nn.Dropout(plan.dropout))
        self.layers = nn.Sequential(*layers)
        self.score = nn.Linear(channels[-1] * height * width, 1)
        self.labels = None if concat else LabelEmbedding(plan.classes, channels[-1])
        initialise(self)

    def forward(self, images_BCHW: Tensor, label_BT: Tensor) -> Tensor:
        """Score images (B,); higher for what looks like a photo of these labels."""
        if self.labels is None:
            images_BCHW = with_label_channels(images_BCHW, label_BT, self.plan.classes)
        features_BCHW = self.layers(images_BCHW)
        score_B: Tensor = self.score(features_BCHW.flatten(1)).squeeze(1)
        if self.labels is None:
            return score_B
        agreement_B: Tensor = (self.labels.summed(label_BT) * features_BCHW.sum(dim=(2, 3))).sum(dim=1)
        return score_B + agreement_B


def _norm(norm: CriticNorm, channels: int, pixels: int) -> list[nn.Module]:
    match norm:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "layer":
            return [nn.GroupNorm(1, channels)]  # over all channels and pixels of an image
        case "instance":
            return [nn.GroupNorm(channels, channels)] if pixels > 1 else []  # of one pixel nothing would be left
        case "none":
            return []
        case _:
            assert_never(norm)


def critic_of(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Critic:
    """Rebuild a discriminator or critic, in eval mode, from what `Player.critic` of dcgan and wgan-gp returns."""
    network = Critic(CriticPlan.from_json(facts["plan"]))
    network.load_state_dict(dict(tensors))
    return network.eval()
