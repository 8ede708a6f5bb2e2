"""Losses on weighted target rows.

B rows, C classes of a head. A target row holds its row's weight, shared among the classes: (0, 1, 0) for a plain label,
(0, 0.5, 0) where the row counts half, (0.3, 0.7, 0) for a mixed one, zeros where the label is unknown. Every loss but
the F1 is linear in the rows, so what mixing, weights and soft labels mean for it follows from the rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from maskcls.lossterms import Term


@dataclass(frozen=True)
class HeadLoss:
    """A head's loss.

    terms     its parts.
    weights   of each term: (C,) float32 class weights.
    log_prior (C,) float32, the log of the classes' shares of the training rows.
    """

    terms: tuple[Term, ...]
    weights: tuple[Tensor, ...]
    log_prior: Tensor


def build_loss(terms: Sequence[Term], mass_C: Tensor) -> HeadLoss:
    """Build a head's loss for classes of this mass, the sum of their training rows."""
    weights = tuple(class_weights(mass_C, term.weights, beta=term.beta) for term in terms)
    # A class that never occurs has no share to adjust by; it gets that of one row, for a finite logarithm.
    shares = mass_C.double().clamp(min=1.0) / mass_C.double().clamp(min=1.0).sum()
    return HeadLoss(tuple(terms), weights, shares.log().float())


def class_weights(mass_C: Tensor, how: str, *, beta: float = 0.999) -> Tensor:
    """Return the weights (C,) float32 of classes of this mass (C,), scaled to a mean of 1 over the classes that occur.

    none: 1. inverse: 1 / mass. effective: (1 - beta) / (1 - beta ** mass), by the effective number of samples (Cui et
    al. 2019, arXiv:1901.05555). A class that never occurs has weight 0: no row asks for it.

    >>> class_weights(torch.tensor([3.0, 1.0]), "inverse").tolist()
    [0.5, 1.5]
    """
    if how == "none":
        return torch.ones(len(mass_C))
    mass = mass_C.double()
    size = mass if how == "inverse" else (1 - beta**mass) / (1 - beta)
    weight = torch.where(mass > 0, 1 / size, 0.0)
    return (weight * (mass > 0).sum() / weight.sum().clamp(min=1e-300)).float()


def cross_entropy(logits_BC: Tensor, target_BC: Tensor, weight_C: Tensor | None = None) -> Tensor:
    """Return the cross-entropy (B,) of logits (B, C) against target rows (B, C), each class by its weight, in float32.

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
    """Return the focal loss (B,) of a softmax: (1 - p) ** gamma times the cross-entropy, class by class (Lin et al.
    2017, arXiv:1708.02002); the class weights are the paper's alpha. gamma 0 is the cross-entropy.
    """
    log_prob = torch.log_softmax(logits_BC.float(), dim=1)
    # 1 - p by its own function: near p = 1 the difference would lose its digits. Above 0: a root is vertical there.
    rest = -torch.expm1(log_prob)
    return -(_weighted(target_BC, weight_C) * rest.clamp(min=1e-12) ** gamma * log_prob).sum(dim=1)


def binary_cross_entropy(logits_BC: Tensor, target_BC: Tensor) -> Tensor:
    """Return the mean over the classes (B,) of the cross-entropy of a sigmoid a class, for or against it."""
    logits, mass = logits_BC.float(), target_BC.sum(dim=1, keepdim=True)
    against = mass - target_BC
    return (target_BC * functional.softplus(-logits) + against * functional.softplus(logits)).mean(dim=1)


def ordinal(logits_BK: Tensor, target_BC: Tensor) -> Tensor:
    """Return the sum over the K = C - 1 boundaries (B,) of the cross-entropy of "the class lies above" (Cao, Mirjalili
    and Raschka 2020, arXiv:1901.07884); logits (B, K), ascending boundaries.
    """
    logits, mass = logits_BK.float(), target_BC.sum(dim=1, keepdim=True)
    above = mass - target_BC.cumsum(dim=1)[:, :-1]
    return (above * functional.softplus(-logits) + (mass - above) * functional.softplus(logits)).sum(dim=1)


def gaussian(outputs_B2: Tensor, moments_B3: Tensor) -> Tensor:
    """Return the negative log likelihood (B,) of a normal distribution (Kendall and Gal 2017, arXiv:1703.04977).

    outputs   (B, 2): its mean, and the logarithm of its variance.
    moments   (B, 3): weight, weight * value and weight * value ** 2 of each row; linear, as target rows are.
    """
    mean, log_variance = outputs_B2.float().unbind(dim=1)
    weight, value, square = moments_B3.unbind(dim=1)
    squared = square - 2 * mean * value + mean**2 * weight
    return 0.5 * (weight * log_variance + squared * torch.exp(-log_variance))


def f1_sums(logits_BC: Tensor, target_BC: Tensor) -> Tensor:
    """Return what the soft F1 is made of (3, C): the true, the predicted and the correct mass of each class."""
    prob = torch.softmax(logits_BC.float(), dim=1)
    predicted = prob * target_BC.sum(dim=1, keepdim=True)
    return torch.stack([target_BC.sum(dim=0), predicted.sum(dim=0), (prob * target_BC).sum(dim=0)])


def soft_f1_loss(sums_3C: Tensor) -> Tensor:
    """Return 1 - macro-F1 of probabilities instead of decisions, over the classes that occur in the step.

    A class nobody has cannot be raised by any gradient. With probabilities of 0 and 1 this is the macro-F1 of those.
    """
    true, predicted, correct = sums_3C
    f1 = 2 * correct / (true + predicted).clamp(min=1e-12)
    occurs = (true > 0).float()
    loss: Tensor = ((1 - f1) * occurs).sum() / occurs.sum().clamp(min=1)
    return loss


def linear_terms(loss: HeadLoss, logits_BC: Tensor, target_BC: Tensor) -> list[tuple[float, Tensor, Tensor]]:
    """Return (factor, losses (B,), class weights (C,)) of every term that is a sum over rows, which the F1 is not."""
    found = []
    for term, weight in zip(loss.terms, loss.weights, strict=True):
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
            case _:
                continue
        found.append((term.factor, rows, weight))
    return found


def _weighted(target_BC: Tensor, weight_C: Tensor | None) -> Tensor:
    return target_BC if weight_C is None else target_BC * weight_C
