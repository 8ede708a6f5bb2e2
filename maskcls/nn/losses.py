"""Losses on dense targets, one value a sample.

B batch, C classes of a head. A target row sums to 1; a row of zeros is an unknown label and costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def one_hot(labels_B: Tensor, classes: int) -> Tensor:
    """Turn labels (B,) int64 into target rows (B, C) float32; a negative label gives a row of zeros.

    >>> one_hot(torch.tensor([1, -1]), 2).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    target_BC = torch.zeros(len(labels_B), classes, device=labels_B.device)
    target_BC.scatter_(1, labels_B.clamp(min=0)[:, None], (labels_B >= 0).float()[:, None])
    return target_BC


def cross_entropy(logits_BC: Tensor, target_BC: Tensor) -> Tensor:
    """Return the cross-entropy (B,) of logits (B, C) against target rows (B, C), in float32.

    >>> cross_entropy(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]])).item()  # log 2
    0.6931471824645996
    """
    return -(target_BC * torch.log_softmax(logits_BC.float(), dim=1)).sum(dim=1)


def weighted_terms(
    logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], weights: Mapping[str, Tensor], totals: Tensor
) -> Tensor:
    """Return each head's share (heads,) of the loss of one optimizer step.

    logits, targets  {head: (B, C)}.
    weights          {head: (B,)}, 0 where the label is unknown or the row only fills up.
    totals           (heads,) the sum of the weights over the whole step, all its pieces and processes.

    Summed over the pieces of a step, the shares are the weighted mean of the step, so accumulating changes nothing.
    """
    sums = torch.stack([(cross_entropy(logits[head], targets[head]) * weights[head]).sum() for head in logits])
    # A head without any label in the step has total 0 and sum 0; its share is 0, not 0 / 0.
    return torch.where(totals > 0, sums / totals.clamp(min=torch.finfo(totals.dtype).tiny), sums)
