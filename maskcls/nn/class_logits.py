"""One logit per class of a task, from the outputs of any head: the number whose gradient explains a class.

B batch, O outputs of a head, G groups, K classes it is trained on, C classes of its task, J joint classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from maskcls.labels import LabelSpace
from maskcls.nn.heads import JOINT, Head

SMALLEST = 1e-37  # difference of two logarithms; smaller ones, and negative ones, are a class without probability


def task_logits(specs: Mapping[str, Head], logits: Mapping[str, Tensor], task: str, space: LabelSpace) -> Tensor:
    """Return one logit per class of a task (B, G, C), of its own head or of the joint head.

    specs   the network's heads; logits: their outputs (B, O).
    space   the label space of the network.

    A joint head's logit of a class is the log-sum-exp over the joint classes that have it; G is then 1.
    """
    if JOINT not in specs:
        return class_logits(specs[task], logits[task])
    axis = space.names.index(task)
    grid = class_logits(specs[JOINT], logits[JOINT])[:, 0].view(-1, *space.shape)
    others = [dim + 1 for dim in range(len(space.shape)) if dim != axis]
    return (torch.logsumexp(grid, others) if others else grid)[:, None]


def class_logits(head: Head, logits_BO: Tensor) -> Tensor:
    """Return one logit per class (B, G, C), float32, that rises with the probability `probabilities` returns.

    softmax   the output itself; with finer classes, the log-sum-exp over those of a class. Their softmax over C are the
              probabilities.
    sigmoid   the output itself; its logarithmic sigmoid where it is summed over finer or joint classes.
    ordinal, normal   log(p / (1 - p)) of the class's probability p: their sigmoid are the probabilities. The outputs of
              these heads are no classes.
    """
    logits = logits_BO.float().view(len(logits_BO), head.groups, head.width)
    match head.reading:
        case "softmax":
            return _summed(head, logits)
        case "sigmoid":
            plain = head.edges == head.bins and head.name != JOINT
            return logits if plain else _summed(head, logsigmoid(logits))
        case "ordinal":
            return _odds(_summed(head, _between(logsigmoid(logits), logsigmoid(-logits))))
        case "normal":
            score = _standard_scores(head, logits)
            return _odds(_between(torch.special.log_ndtr(score), torch.special.log_ndtr(-score)))
        case _:
            assert_never(head.reading)


def _summed(head: Head, log_BGK: Tensor) -> Tensor:
    """Return the log-sum-exp over the finer classes of each class of the task."""
    if head.edges == head.bins:
        return log_BGK
    bins = torch.tensor(head.bins)
    band = torch.searchsorted(bins, torch.tensor((-(2**31), *head.edges)), right=True).to(log_BGK.device)
    return torch.stack([log_BGK[..., band == index].logsumexp(2) for index in range(head.classes)], dim=2)


def _standard_scores(head: Head, outputs_BG2: Tensor) -> Tensor:
    """Return how many standard deviations the mean is above each boundary (B, G, C - 1)."""
    bins = (torch.tensor(head.bins, dtype=torch.float32, device=outputs_BG2.device) - head.centre) / head.scale
    deviation = torch.exp(0.5 * outputs_BG2[..., 1:].clamp(-20, 20))
    return (outputs_BG2[..., :1] - bins) / deviation


def _between(above_BGK: Tensor, below_BGK: Tensor) -> Tensor:
    """Return log probabilities of classes (B, G, K + 1) from those of being above and below each of K boundaries."""
    gap = (above_BGK[..., :-1] - above_BGK[..., 1:]).clamp(min=SMALLEST)
    middle = above_BGK[..., :-1] + torch.log(-torch.expm1(-gap))
    return torch.cat([below_BGK[..., :1], middle, above_BGK[..., -1:]], dim=2)


def _odds(log_BGC: Tensor) -> Tensor:
    """Return log p - log(1 - p) of classes from log p, where 1 - p is the sum over the other classes."""
    classes = log_BGC.shape[2]
    rest = [torch.cat([log_BGC[..., :c], log_BGC[..., c + 1 :]], 2).logsumexp(2) for c in range(classes)]
    return log_BGC - torch.stack(rest, dim=2)
