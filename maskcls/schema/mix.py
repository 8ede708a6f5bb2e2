"""Mixing: two training images are combined into one, together with their labels."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from maskcls.schema.section import Inside, Positive, Section, Share, TaskName


class MixConfig(Section):
    """Two training images combined into one, together with their labels."""

    kind: Literal["none", "cutmix", "halves", "mixup"] = "none"
    """How images are combined. cutmix: a box of the partner is pasted in (Yun et al. 2019, arXiv:1905.04899). halves:
    the left or right part comes from the partner. mixup: a weighted mean of both (Zhang et al. 2018,
    arXiv:1710.09412)."""
    prob: Share = 0.5
    """Share of the training images that are mixed."""
    alpha: Positive = 1.0
    """Both parameters of the Beta distribution that the image's share is drawn from, for mix.kind=cutmix or mixup."""
    ratio: tuple[Inside, Inside] = (0.46, 0.54)
    """Smallest and largest position of the cut for mix.kind=halves, as shares of the width."""
    partner: Literal["any", "same", "other"] = "any"
    """Which images may be partners: any joint class, the same joint class, or another one."""
    partner_classes: dict[TaskName, tuple[str, ...]] = Field(default={})
    """Classes that partners must have, per task, for example `{age: ['>=60']}`. Empty: no restriction."""
