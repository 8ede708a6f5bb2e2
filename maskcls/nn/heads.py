"""How a head's outputs become probabilities of its task's classes.

B batch, O outputs of a head, G groups, K classes it is trained on, C classes of its task.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal, assert_never

import torch
from torch import Tensor, nn

from maskcls.labels import LabelSpace

JOINT = "joint"
Reading = Literal["softmax", "sigmoid", "ordinal", "normal"]


@dataclass(frozen=True)
class Head:
    """What a head predicts, and how its outputs are read.

    name     a task's name, or `joint`.
    classes  number of classes of that task, or of all tasks together.
    reading  how outputs become probabilities. softmax; sigmoid: one output per class, normalised to a sum of 1;
             ordinal: one output per boundary, the logit of being above it; normal: mean and log variance of a normal
             distribution over (value - centre) / scale.
    bins     the task's class boundaries; edges: the boundaries used in training, which may be finer.
    given    a task on whose class the prediction depends; groups: the number of its classes; each has its own outputs.
    hidden   number of units of a hidden layer before the outputs; 0: none, the outputs are linear in the features.
    """

    name: str
    classes: int
    reading: Reading = "softmax"
    bins: tuple[int, ...] = ()
    edges: tuple[int, ...] = ()
    given: str | None = None
    groups: int = 1
    hidden: int = 0

    @property
    def trained_classes(self) -> int:
        """Number of classes in a target row of one group."""
        return len(self.edges) + 1 if self.edges else self.classes

    @property
    def width(self) -> int:
        """Number of outputs of one group."""
        match self.reading:
            case "softmax" | "sigmoid":
                return self.trained_classes
            case "ordinal":
                return self.trained_classes - 1
            case "normal":
                return 2
            case _:
                assert_never(self.reading)

    @property
    def outputs(self) -> int:
        """Number of outputs of the head."""
        return self.groups * self.width

    @property
    def centre(self) -> float:
        """The value, such as years, that a normal reading represents as 0."""
        return sum(self.bins) / len(self.bins)

    @property
    def scale(self) -> float:
        """The difference of values that a normal reading represents as 1."""
        return max(1.0, (self.bins[-1] - self.bins[0]) / 2) if len(self.bins) > 1 else 10.0


def plain_heads(heads: Literal["joint", "multi"], space: LabelSpace) -> dict[str, Head]:
    """Return softmax heads by name: one over the joint classes, or one per task (multi)."""
    match heads:
        case "joint":
            return {JOINT: Head(JOINT, space.size)}
        case "multi":
            tasks = space.tasks
            return {task.name: Head(task.name, len(task.classes), bins=task.bins, edges=task.bins) for task in tasks}
        case _:
            assert_never(heads)


class Ordinal(nn.Module):
    """One weight vector, and one threshold per boundary, for each group: ordinal regression by CORAL.

    Source: Cao, Mirjalili and Raschka 2020, arXiv:1901.07884. Maps features (B, F) to logits (B, G * (K - 1)); each is
    the logit of being above a boundary.
    """

    def __init__(self, features: int, groups: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(groups, features))
        # All classes are equally likely at first: the probability above boundary k is (K - 1 - k) / K.
        above = torch.arange(classes - 1, 0, -1) / classes
        self.bias = nn.Parameter(torch.logit(above).repeat(groups, 1))

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = nn.functional.linear(features_BF, self.weight)[:, :, None] + self.bias
        return logits.flatten(1)


class Hidden(nn.Module):
    """One hidden layer of rectified linear units: features (B, F) to outputs (B, O)."""

    def __init__(self, features: int, units: int, outputs: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, units)
        self.output = nn.Linear(units, outputs)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return the outputs."""
        outputs: Tensor = self.output(nn.functional.relu(self.hidden(features_BF)))
        return outputs


def build_head(head: Head, features: int) -> nn.Module:
    """Build the layer of a head, initialised so that its first prediction is the same for every image.

    The first loss of a softmax is then log(classes) for any trunk, which checks the data and the loss. The weights of a
    hidden layer are random, from torch's global generator. An ordinal head has none.
    """
    match head.reading:
        case "ordinal":
            assert not head.hidden
            return Ordinal(features, head.groups, head.trained_classes)
        case "softmax" | "sigmoid" | "normal":
            layer = Hidden(features, head.hidden, head.outputs) if head.hidden else nn.Linear(features, head.outputs)
        case _:
            assert_never(head.reading)
    for parameter in (layer.output if isinstance(layer, Hidden) else layer).parameters():
        nn.init.zeros_(parameter)
    return layer


def probabilities(head: Head, logits_BO: Tensor) -> Tensor:
    """Return probabilities (B, G, C) of the task's classes from logits (B, O), float32 or wider; C sums to 1."""
    logits = logits_BO.float().view(logits_BO.shape[0], head.groups, head.width)
    match head.reading:
        case "softmax":
            prob = torch.softmax(logits, dim=2)
        case "sigmoid":
            # In the logarithm, so that very small sigmoids do not underflow to 0.
            prob = torch.softmax(nn.functional.logsigmoid(logits), dim=2)
        case "ordinal":
            prob = _between(torch.sigmoid(logits))
        case "normal":
            return _between(_above(head, logits))
        case _:
            assert_never(head.reading)
    if head.edges == head.bins:
        return prob
    # Sum neighbouring classes: every boundary of the task is also one of the finer boundaries.
    band = torch.tensor([0, *(bisect_right(head.bins, edge) for edge in head.edges)], device=prob.device)
    return torch.zeros(*prob.shape[:2], head.classes, device=prob.device).index_add_(2, band, prob)


def _above(head: Head, outputs_BG2: Tensor) -> Tensor:
    """Return the normal distribution's probability above each boundary (B, G, C - 1)."""
    bins = (torch.tensor(head.bins, dtype=torch.float32, device=outputs_BG2.device) - head.centre) / head.scale
    mean, deviation = outputs_BG2[..., :1], torch.exp(0.5 * outputs_BG2[..., 1:].clamp(-20, 20))
    above: Tensor = torch.special.ndtr((mean - bins) / deviation)
    return above


def _between(above_BGK: Tensor) -> Tensor:
    """Return class probabilities (B, G, K + 1) from those above each of K boundaries; negative differences become 0."""
    ones, zeros = torch.ones_like(above_BGK[..., :1]), torch.zeros_like(above_BGK[..., :1])
    mass: Tensor = (torch.cat([ones, above_BGK], dim=2) - torch.cat([above_BGK, zeros], dim=2)).clamp(min=0)
    return torch.div(mass, mass.sum(dim=2, keepdim=True))
