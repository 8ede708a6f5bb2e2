"""How the weights change: the optimizer, the learning rate over time, and the average of the weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from maskcls.schema.section import Below, Inside, Kept, Positive, Section, Share, Text


class OptimConfig(Section):
    """The optimizer. Weight decay leaves out biases and the parameters of normalisation layers."""

    name: Text = "adamw"
    """Name of the optimizer: adamw (Loshchilov and Hutter 2019, arXiv:1711.05101), or any of timm's that needs one
    backward pass per step. A leading lookahead_ adds Lookahead (Zhang et al. 2019, arXiv:1907.08610)."""
    lr: Positive = 3e-4
    """Highest learning rate of the schedule."""
    head_lr_scale: Positive = 1.0
    """Learning rate of the heads, as a multiple of the backbone's. Use more than 1 for new heads on a pretrained
    backbone."""
    layer_decay: Kept = 1.0
    """Learning rate of each layer of the backbone, as a share of that of the next layer towards the output (Clark et
    al. 2020, arXiv:2003.10555)."""
    freeze_layers: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Number of layers of the backbone, counted from its input, that are never trained."""
    freeze_epochs: Annotated[int, Field(ge=0, le=999_999)] = 0
    """Number of epochs at the start in which only the heads are trained."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    """Strength of the weight decay. Biases, norms and what timm's definition of the backbone excludes, such as class
    tokens and tables of positions, are not decayed."""
    betas: Annotated[tuple[Below, ...], Field(min_length=1, max_length=3)] | None = None
    """Decay rates of the optimizer's moving averages, as many as it takes. Null: the optimizer's own."""
    momentum: Below | None = None
    """Momentum of optimizers that have one, such as sgd. Null: timm's own."""
    clip_norm: Positive | None = 5.0
    """Largest norm of the gradient of a step; longer gradients are scaled down. Null: no limit."""


class ScheduleConfig(Section):
    """The learning rate as a function of the step, relative to optim.lr."""

    kind: Literal["cosine", "linear", "step", "constant", "onecycle", "wsd", "cosine_restarts", "plateau"] = "cosine"
    """Shape after the warm-up. cosine: half a cosine down (Loshchilov and Hutter 2017, arXiv:1608.03983). linear: a
    straight line down. step: lower by schedule.gamma at fixed intervals. constant: no change. onecycle: a cosine up in
    the warm-up and another one down (Smith and Topin 2019, arXiv:1708.07120). wsd: constant, then a straight line down
    (Hu et al. 2024, arXiv:2404.06395). cosine_restarts: several cosines of equal length. plateau: lower by
    schedule.gamma when the score stops improving."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.5
    """Length of the warm-up in epochs; part of an epoch is allowed. The learning rate rises linearly in it."""
    end_share: Share = 0.01
    """Learning rate at the end, as a share of optim.lr."""
    start_share: Share = 0.04
    """Learning rate at the start for schedule.kind=onecycle, as a share of optim.lr."""
    every_epochs: Positive = 2.0
    """Interval between the reductions of schedule.kind=step, in epochs."""
    gamma: Inside = 0.3
    """Factor of each reduction for schedule.kind=step or plateau."""
    cycles: Annotated[int, Field(ge=1, le=1000)] = 2
    """Number of cosines for schedule.kind=cosine_restarts."""
    decay_share: Kept = 0.3
    """Share of all steps in which schedule.kind=wsd lowers the learning rate."""
    patience: Annotated[int, Field(ge=0, le=1_000_000)] = 2
    """Number of epochs without a better score before schedule.kind=plateau lowers the learning rate."""


class AverageConfig(Section):
    """The average of the weights over the training steps. The average is scored and saved."""

    kind: Literal["ema", "swa", "none"] = "ema"
    """How the weights are averaged. ema: an exponential moving average. swa: an equal mean over the last part of the
    training (Izmailov et al. 2018, arXiv:1803.05407). none: the last weights are used."""
    decay: Inside = 0.998
    """Largest decay per step for average.kind=ema."""
    power: Kept = 0.75
    """Speed at which the decay of average.kind=ema rises: after n steps it is 1 - n ** -power, at most
    average.decay."""
    start: Below = 0.5
    """Share of the training after which average.kind=swa begins."""
    soup: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of epochs whose scored weights are averaged at the end: those with the highest train.select on the rows of
    the other folds, with one fold the last ones (model soups, Wortsman et al. 2022, arXiv:2203.05482). 1: no
    average."""
