"""The learning rate of CycleGAN: constant, then falling linearly (Zhu et al. 2017, arXiv:1703.10593, section 4)."""

from __future__ import annotations


def rate_factor(step: int, *, steps: int, decay_share: float) -> float:
    """Return the factor in (0, 1] of the learning rate in training step `step`, counted from 0.

    It is 1 - max(0, step + 1 - n) / (n_decay + 1), as in the authors' implementation with its epochs as steps:
    n_decay = round(decay_share * steps) last steps in which it falls, n = steps - n_decay before them. So the first
    value of the fall is less than 1, and that of the last step is 1 / (n_decay + 1).

    >>> [round(rate_factor(step, steps=6, decay_share=0.5), 2) for step in range(6)]
    [1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    falling = round(decay_share * steps)
    return 1 - max(0, step + 1 - (steps - falling)) / (falling + 1)
