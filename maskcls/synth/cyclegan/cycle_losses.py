"""The losses of CycleGAN (Zhu et al. 2017, arXiv:1703.10593, equations 1 to 3 and section 5.2).

B images of each domain, C channels, H and W their size. "there" translates from the source to the target, "back" the
other way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Translate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class CycleGenerators:
    """Both generators."""

    there: Translate
    back: Translate


@dataclass(frozen=True)
class CycleCritics:
    """Both discriminators: of photos of the source, and of the target. 1 is real, 0 is generated."""

    source: Translate
    target: Translate


@dataclass(frozen=True)
class Translated:
    """Generated images: sources translated there, and targets translated back."""

    target_BCHW: Tensor
    source_BCHW: Tensor


def least_squares(score: Tensor, wanted: float) -> Tensor:
    """Return the mean squared distance of scores of any shape to what is wanted (LSGAN, Mao et al. 2017,
    arXiv:1611.04076)."""
    return (score - wanted).square().mean()


def cycle_generator_losses(
    source_BCHW: Tensor,
    target_BCHW: Tensor,
    generators: CycleGenerators,
    critics: CycleCritics,
    *,
    cycle: float,
    identity: float,
) -> tuple[dict[str, Tensor], Translated]:
    """Return the losses of both generators by name, already weighted, and the translated images.

    adversarial  the sum over both directions of the mean of (D(G(x)) - 1) ** 2.
    cycle        `cycle` times the sum of the mean distances |back(there(a)) - a| and |there(back(b)) - b|.
    identity     `cycle * identity` times the sum of the mean distances |there(b) - b| and |back(a) - a|; absent where
                 the weight is 0, because it takes two further passes.

    What is minimised is their sum.
    """
    fake_target_BCHW = generators.there(source_BCHW)
    fake_source_BCHW = generators.back(target_BCHW)
    losses = {
        "adversarial": least_squares(critics.target(fake_target_BCHW), 1)
        + least_squares(critics.source(fake_source_BCHW), 1),
        "cycle": cycle
        * (
            _distance(generators.back(fake_target_BCHW), source_BCHW)
            + _distance(generators.there(fake_source_BCHW), target_BCHW)
        ),
    }
    if cycle * identity:
        losses["identity"] = (
            cycle
            * identity
            * (
                _distance(generators.there(target_BCHW), target_BCHW)
                + _distance(generators.back(source_BCHW), source_BCHW)
            )
        )
    return losses, Translated(fake_target_BCHW, fake_source_BCHW)


def patch_critic_loss(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """Return the loss of one discriminator, halved so that it learns more slowly than the generators (section 7.1)."""
    return (least_squares(real_score, 1) + least_squares(fake_score, 0)) / 2


def _distance(image_BCHW: Tensor, other_BCHW: Tensor) -> Tensor:
    return (image_BCHW - other_BCHW).abs().mean()
