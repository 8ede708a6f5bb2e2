"""Equal numbers of optimizer steps for arms with unequal numbers of rows.

A table of samples, or oversampling, makes a pass over the rows longer. `sampler.epoch_fraction` cuts the epochs to the
length they have without; passes then go on in the next epoch, so every row is still used. F fits: a fold of a network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskcls.engine.step_plan import StepPlan
from maskcls.rundir import RunDir
from maskcls.schema import Config
from maskcls.training.experiment import Experiment, read_experiment


@dataclass(frozen=True)
class EpochSize:
    """The length of the epochs of one fit.

    images  rows that an epoch draws; whole: rows of one pass; batch: rows of a step.
    """

    images: int
    whole: int
    batch: int
    epochs: int

    @property
    def steps(self) -> int:
        """The optimizer steps of the whole fit."""
        return -(-self.images // self.batch) * self.epochs


def epoch_sizes(experiment: Experiment) -> list[EpochSize]:
    """Return the length of the epochs of every network in every fold."""
    found = []
    for member in experiment.kinds:
        for k in range(experiment.cfg.folds.k):
            rows, cfg = experiment.rows(member, k), member.cfg
            full = cfg.model_copy(update={"sampler": cfg.sampler.model_copy(update={"epoch_fraction": 1.0})})
            images, whole = StepPlan(rows, cfg).epoch_images, StepPlan(rows, full).epoch_images
            found.append(EpochSize(images, whole, cfg.train.batch_size, cfg.train.epochs))
    return found


def read_sizes(data: Path, cfg: Config) -> list[EpochSize]:
    """Return the same of a training that is not begun; raises what reading the data and its samples raises."""
    return epoch_sizes(read_experiment(cfg, data, RunDir(Path("never-written"))))


def equal_fraction(wanted_F: Sequence[EpochSize], arm_F: Sequence[EpochSize]) -> float:
    """Return the value of sampler.epoch_fraction, in (0, 1], that gives an arm the wanted steps, as near as possible.

    It is the ratio of all rows drawn to all rows of a pass. If the steps of some fit then differ, because its share of
    samples does, the nearest fraction that gives all of them their steps is taken, if there is one.

    >>> [nothing], [samples] = [EpochSize(100, 100, 10, 3)], [EpochSize(125, 125, 10, 3)]
    >>> equal_fraction([nothing], [samples])
    0.8
    """
    ratio = min(1.0, sum(one.images for one in wanted_F) / sum(one.whole for one in arm_F))
    pairs = list(zip(wanted_F, arm_F, strict=True))
    steps_F = [-(-wanted.images // wanted.batch) for wanted in wanted_F]
    # Half a row inside, so that rounding to whole rows ends in the same step.
    low = max(((steps - 1) * one.batch + 0.51) / one.whole for steps, (_, one) in zip(steps_F, pairs, strict=True))
    high = min((steps * one.batch + 0.49) / one.whole for steps, (_, one) in zip(steps_F, pairs, strict=True))
    if low >= high or low >= 1:
        return ratio
    return min(max(ratio, math.nextafter(low, math.inf)), high, 1.0)


def at_fraction(sizes_F: Sequence[EpochSize], fraction: float) -> list[EpochSize]:
    """Return the lengths that epochs of this fraction have."""
    return [replace(one, images=max(1, round(one.whole * fraction))) for one in sizes_F]
