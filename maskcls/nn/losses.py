"""Losses on weighted target rows.

B rows, C classes of a head. A target row is the row's weight, divided among the classes: (0, 1, 0) for a label,
(0, 0.5, 0) for a row of weight 0.5, (0.3, 0.7, 0) for a mixed label, zeros for an unknown label. Every loss except F1
is linear in the target rows, so mixing, row weights and soft labels need no separate code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor
from torch.nn import functional

from maskcls.lossterms import Term, Weighting


@dataclass(frozen=True)
class HeadLoss:
    """A head's loss.

    terms      the terms of the sum.
    weights    per term, (C,) float32 class weights.
    log_prior  (C,) float32, the log of the classes' shares of the training rows.
    """

    terms: tuple[Term, ...]
    weights: tuple[Tensor, ...]
    log_prior: Tensor

    @property
    def linear(self) -> list[tuple[Term, Tensor]]:
        """The terms that are sums over rows, each with its class weights (C,)."""
        return [(term, weight) for term, weight in zip(self.terms, self.weights, strict=True) if term.is_sum_over_rows]


def build_loss(terms: Sequence[Term], mass_C: Tensor) -> HeadLoss:
    """Build the loss of a head. mass_C: (C,) the sum of the training rows' targets per class."""
    weights = tuple(class_weights(mass_C, term.weights, beta=term.beta) for term in terms)
    # A class that never occurs counts as one row, so that its logarithm is finite.
    shares = mass_C.double().clamp(min=1.0) / mass_C.double().clamp(min=1.0).sum()
    return HeadLoss(tuple(terms), weights, shares.log().float())


def class_weights(mass_C: Tensor, how: Weighting, *, beta: float = 0.999) -> Tensor:
    """Return the weights (C,) float32 of classes of this mass (C,), scaled to a mean of 1 over the classes that occur.

    none: 1. inverse: 1 / mass. effective: (1 - beta) / (1 - beta ** mass), by the effective number of samples (Cui et
    al. 2019, arXiv:1901.05555). A class that never occurs has weight 0, except with none.

    >>> class_weights(torch.tensor([3.0, 1.0]), "inverse").tolist()
    [0.5, 1.5]
    """
    mass = mass_C.double()
    match how:
        case "none":
            return torch.ones(len(mass_C))
        case "inverse":
            size = mass
        case "effective":
            size = (1 - beta**mass) / (1 - beta)
        case _:
            assert_never(how)
    weight = torch.where(mass > 0, 1 / size, 0.0)
    return (weight * (mass > 0).sum() / weight.sum().clamp(min=1e-300)).float()


def cross_entropy(logits_BC: Tensor, target_BC: Tensor, weight_C: Tensor | None = None) -> Tensor:
    """Return the cross-entropy (B,) float32 of logits (B, C) against target rows (B, C), weighted per class (C,).

    >>> cross_entropy(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]])).item()  # log 2
    0.6931471824645996
    """
    return -(_weighted(target_BC, weight_C) * torch.log_softmax(logits_BC.float(), dim=1)).sum(dim=1)


def smoothed(target_BC: Tensor, epsilon: float) -> Tensor:
    """Spread the share epsilon of every row evenly over all classes (Szegedy et al. 2016, arXiv:1512.00567).

    >>> smoothed(torch.tensor([[0.0, 2.0]]), 0.1).tolist()
    [[0.10000000149011612, 1.899999976158142]]
    """
    return (1 - epsilon) * target_BC + epsilon * target_BC.mean(dim=1, keepdim=True)


def focal(logits_BC: Tensor, target_BC: Tensor, gamma: float, weight_C: Tensor | None = None) -> Tensor:
    """Return the focal loss (B,) float32 of a softmax: (1 - p) ** gamma times the cross-entropy of each class.

    Source: Lin et al. 2017, arXiv:1708.02002; the class weights (C,) are the paper's alpha. gamma is 0 or more; 0 gives
    the cross-entropy.
    """
    log_prob = torch.log_softmax(logits_BC.float(), dim=1)
    # expm1 is accurate for 1 - p near p = 1. The clamp keeps the gradient finite at 0 for gamma < 1.
    rest = -torch.expm1(log_prob)
    return -(_weighted(target_BC, weight_C) * rest.clamp(min=1e-12) ** gamma * log_prob).sum(dim=1)


def binary_cross_entropy(logits_BC: Tensor, target_BC: Tensor) -> Tensor:
    """Return the binary cross-entropy (B,) float32, one sigmoid per class, averaged over the classes."""
    logits, mass = logits_BC.float(), target_BC.sum(dim=1, keepdim=True)
    against = mass - target_BC
    return (target_BC * functional.softplus(-logits) + against * functional.softplus(logits)).mean(dim=1)


def ordinal(logits_BK: Tensor, target_BC: Tensor) -> Tensor:
    """Return the binary cross-entropy (B,) float32 of "the class is above", summed over K = C - 1 boundaries.

    Source: Cao, Mirjalili and Raschka 2020, arXiv:1901.07884. logits (B, K) of ascending boundaries, targets (B, C).
    """
    logits, mass = logits_BK.float(), target_BC.sum(dim=1, keepdim=True)
    above = mass - target_BC.cumsum(dim=1)[:, :-1]
    return (above * functional.softplus(-logits) + (mass - above) * functional.softplus(logits)).sum(dim=1)


def gaussian(outputs_B2: Tensor, moments_B3: Tensor) -> Tensor:
    """Return the negative log likelihood (B,) float32 of a normal distribution, without its constant.

    Source: Kendall and Gal 2017, arXiv:1703.04977.

    outputs_B2  the mean, and the logarithm of the variance.
    moments_B3  weight, weight * value and weight * value ** 2 of each row; the loss is linear in them.
    """
    mean, log_variance = outputs_B2.float().unbind(dim=1)
    weight, value, square = moments_B3.unbind(dim=1)
    squared = square - 2 * mean * value + mean**2 * weight
    return 0.5 * (weight * log_variance + squared * torch.exp(-log_variance))


def f1_sums(logits_BC: Tensor, target_BC: Tensor) -> Tensor:
    """Return the sums (3, C) of the soft F1 per class: true, predicted and correct probability mass."""
    prob = torch.softmax(logits_BC.float(), dim=1)
    predicted = prob * target_BC.sum(dim=1, keepdim=True)
    return torch.stack([target_BC.sum(dim=0), predicted.sum(dim=0), (prob * target_BC).sum(dim=0)])


def soft_f1_loss(sums_3C: Tensor) -> Tensor:
    """Return 1 - macro-F1, a scalar in [0, 1], computed from probabilities instead of predicted classes.

    The mean is over the classes that occur in the step, because no gradient can raise the F1 of another class. With
    probabilities of 0 and 1 it is 1 - the macro-F1 of the predicted classes.
    """
    true, predicted, correct = sums_3C
    f1 = 2 * correct / (true + predicted).clamp(min=1e-12)
    occurs = (true > 0).float()
    loss: Tensor = ((1 - f1) * occurs).sum() / occurs.sum().clamp(min=1)
    return loss


def linear_terms(loss: HeadLoss, logits_BC: Tensor, target_BC: Tensor) -> list[tuple[float, Tensor, Tensor]]:
    """Return (factor, losses (B,), class weights (C,)) of the terms of `loss.linear`, in that order."""
    found = []
    for term, weight in loss.linear:
        plain = weight if term.weights != "none" else None
        match term.kind:
            case "ce":
                rows = cross_entropy(logits_BC, target_BC, plain)
            case "smooth":
                rows = cross_entropy(logits_BC, smoothed(target_BC, term.epsilon), plain)
            case "focal":
                rows = focal(logits_BC, target_BC, term.gamma, plain)
            case "bce":
                rows = binary_cross_entropy(logits_BC, target_BC)
            case "la":
                rows = cross_entropy(logits_BC.float() + term.tau * loss.log_prior, target_BC)
            case "f1":
                raise AssertionError("the F1 is not a sum over rows; see f1_sums")
            case _:
                assert_never(term.kind)
        found.append((term.factor, rows, weight))
    return found


def _weighted(target_BC: Tensor, weight_C: Tensor | None) -> Tensor:
    return target_BC if weight_C is None else target_BC * weight_C
