"""Heads that were fitted, and the probabilities of linear ones.

N rows, D features, H units of a hidden layer, C classes of a task, P of them present, J joint classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from maskcls.labels import Floats, Ints, LabelSpace

Wide = NDArray[np.float64]

BELOW = 30.0  # logit of a class without rows, below the mean bias of the others


class RawHead(Protocol):
    """A head of raw features, with an output for every class of its task."""

    @property
    def tensors(self) -> dict[str, Floats]:
        """Its weights, float32, by the names they have in the layer that `nn.heads.build_head` builds."""


@dataclass(frozen=True)
class StandardHead(ABC):
    """A head of standardised features, with an output for every class that occurs: present_P, int64."""

    present_P: Ints

    @abstractmethod
    def logits(self, feature_ND: Wide) -> Wide:
        """Return the logits (N, P)."""

    @abstractmethod
    def scaled(self, factor: float) -> StandardHead:
        """Return the head whose logits are multiplied by a factor."""

    @abstractmethod
    def for_raw(self, mean_D: Wide, deviation_D: Wide, classes: int) -> RawHead:
        """Return the same head for raw features; standardised ones are (raw - mean) / deviation.

        Of `classes` classes, those that do not occur get a bias far below the mean of the others.
        """


@dataclass(frozen=True)
class FittedHead:
    """A linear layer: logits (N, C) are feature_ND @ weight_CD.T + bias_C. Both are float32."""

    weight_CD: Floats
    bias_C: Floats

    @property
    def tensors(self) -> dict[str, Floats]:
        """The weights of a linear layer."""
        return {"weight": self.weight_CD, "bias": self.bias_C}


@dataclass(frozen=True)
class FittedHidden:
    """Logits (N, C) are max(feature_ND @ weight_HD.T + bias_H, 0) @ weight_CH.T + bias_C. All are float32."""

    weight_HD: Floats
    bias_H: Floats
    weight_CH: Floats
    bias_C: Floats

    @property
    def tensors(self) -> dict[str, Floats]:
        """The weights of `nn.heads.Hidden`."""
        hidden = {"hidden.weight": self.weight_HD, "hidden.bias": self.bias_H}
        return hidden | {"output.weight": self.weight_CH, "output.bias": self.bias_C}


@dataclass(frozen=True)
class WideHead(StandardHead):
    """A linear layer in double precision, for the classes that occur: weight_PD, bias_P."""

    weight_PD: Wide
    bias_P: Wide

    def logits(self, feature_ND: Wide) -> Wide:
        """Return the logits (N, P)."""
        return feature_ND @ self.weight_PD.T + self.bias_P

    def scaled(self, factor: float) -> WideHead:
        """Return the head whose logits are multiplied by a factor."""
        return WideHead(self.present_P, self.weight_PD * factor, self.bias_P * factor)

    def for_raw(self, mean_D: Wide, deviation_D: Wide, classes: int) -> FittedHead:
        """Return a head of standardised features, (raw - mean) / deviation, as one of raw features.

        Of `classes` classes, those that do not occur get a probability below 1e-12.
        """
        weight_CD, bias_C = np.zeros((classes, len(mean_D))), np.zeros(classes)
        weight_CD[self.present_P] = self.weight_PD / deviation_D
        bias_C[self.present_P] = self.bias_P - weight_CD[self.present_P] @ mean_D
        bias_C[np.setdiff1d(np.arange(classes), self.present_P)] = self.bias_P.mean() - BELOW
        return FittedHead(weight_CD.astype(np.float32), bias_C.astype(np.float32))


def log_softmax(logit_NC: Wide) -> Wide:
    """Return the logarithm of the softmax of every row."""
    shifted_NC = logit_NC - logit_NC.max(axis=1, keepdims=True)
    found: Wide = shifted_NC - np.log(np.exp(shifted_NC).sum(axis=1, keepdims=True))
    return found


def head_probabilities(heads: Mapping[str, FittedHead], feature_ND: Floats, space: LabelSpace) -> Floats:
    """Return joint probabilities (N, J) float32, the product of the tasks' softmaxes; rows sum to 1."""
    prob = {}
    for name in space.names:
        head = heads[name]
        logit_NC = feature_ND.astype(np.float64) @ head.weight_CD.T.astype(np.float64) + head.bias_C
        prob_NC = np.exp(logit_NC - logit_NC.max(axis=1, keepdims=True))
        prob[name] = prob_NC / prob_NC.sum(axis=1, keepdims=True)
    return space.compose(prob)
