"""Losses of generators and their discriminators or critics, for scores of any networks.

B batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class DiscriminatorTargets:
    """What a discriminator should answer: (B,) float32 in [0, 1] for photos, and for generated images."""

    real_B: Tensor
    fake_B: Tensor


def discriminator_targets(
    uniform_4B: Tensor, *, real_label: float, label_noise: float, label_flips: float
) -> DiscriminatorTargets:
    """Return the targets of a discriminator from uniform numbers (4, B) in [0, 1).

    real_label   target of photos; below 1: one-sided label smoothing (Salimans et al. 2016, arXiv:1606.03498). The
                 target of generated images is 0: smoothing it too would reward images that resemble them.
    label_noise  targets are uniform within this distance (rows 0 and 1); then clipped to [0, 1], because outside of it
                 the loss has no lower bound (Chintala et al. 2016, ganhacks, number 6).
    label_flips  share of the images whose target is exchanged for the other one (rows 2 and 3).

    >>> made = discriminator_targets(torch.zeros(4, 1), real_label=0.75, label_noise=0.25, label_flips=0.0)
    >>> made.real_B.tolist(), made.fake_B.tolist()
    ([0.5], [0.0])
    """
    noise_2B = label_noise * (2 * uniform_4B[:2] - 1)
    real_B, fake_B = (real_label + noise_2B[0]).clamp(0, 1), noise_2B[1].clamp(0, 1)
    flip_2B = uniform_4B[2:] < label_flips
    return DiscriminatorTargets(torch.where(flip_2B[0], fake_B, real_B), torch.where(flip_2B[1], real_B, fake_B))


def discriminator_loss(real_B: Tensor, fake_B: Tensor, targets: DiscriminatorTargets) -> Tensor:
    """Return the mean binary cross-entropy of scores before the sigmoid, for photos plus for generated images.

    Reference: Goodfellow et al. 2014, arXiv:1406.2661.
    """
    of_real = functional.binary_cross_entropy_with_logits(real_B, targets.real_B)
    return of_real + functional.binary_cross_entropy_with_logits(fake_B, targets.fake_B)


def generator_loss(fake_B: Tensor) -> Tensor:
    """Return the mean of -log D(generated), the loss that does not saturate (Goodfellow et al. 2014, section 3)."""
    return functional.softplus(-fake_B).mean()


def critic_loss(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """Return the mean score of generated images less that of photos (Arjovsky et al. 2017, arXiv:1701.07875)."""
    return fake_B.mean() - real_B.mean()


def critic_generator_loss(fake_B: Tensor) -> Tensor:
    """Return the loss of a generator with a critic: less the mean score of generated images."""
    return -fake_B.mean()


def interpolates(real: Tensor, fake: Tensor, alpha_B: Tensor) -> Tensor:
    """Return alpha * real + (1 - alpha) * fake with one alpha per example, the same for all its pixels.

    real, fake  (B, ...) of one shape.
    """
    alpha = alpha_B.reshape(-1, *[1] * (real.dim() - 1))
    return alpha * real + (1 - alpha) * fake


def gradient_norms(score: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Return the Euclidean norm (B,), over all elements of an example, of the gradient of its score; differentiable.

    inputs  (B, ...), without a graph. score: to (B,), of each example alone, so that the gradient of the sum is that
    of each score.
    """
    inputs = inputs.detach().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(score(inputs).sum(), inputs, create_graph=True)
    norm_B: Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return norm_B


def gradient_penalty(norm_B: Tensor, weight: float) -> Tensor:
    """Return weight * mean((norm - 1)^2) (Gulrajani et al. 2017, arXiv:1704.00028, equation 3)."""
    return weight * (norm_B - 1).square().mean()


def noise_scale(first: float, step: int, steps: int) -> float:
    """Return the standard deviation of instance noise at a step from 0: it falls linearly from `first` to 0.

    Source: Soenderby et al. 2017, arXiv:1610.04490.

    >>> noise_scale(0.5, 0, 10), noise_scale(0.5, 5, 10), noise_scale(0.5, 10, 10)
    (0.5, 0.25, 0.0)
    """
    return first * max(0.0, 1 - step / steps)
