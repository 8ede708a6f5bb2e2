"""Settings for a first training, each with the reason for it.

The networks begin with random weights, because nothing is downloaded unless a user asks for it; `pretrained_settings`
are the settings with a download. What the numbers are based on is in benchmarks/README.md, "First trainings".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from maskcls.data.proposal.input_size import propose_size

MOST_FOLDS = 5
CPU_PIXELS, GPU_PIXELS = 64 * 64, 224 * 224  # of the input: without pretrained weights on a CPU; on a GPU
PRETRAINED_CPU_PIXELS = 128 * 128
STEPS = 1200  # optimizer steps per fold
FEWEST_EPOCHS, MOST_EPOCHS = 6, 30
FEW_PHOTOS = 20_000  # below this, pretrained weights are expected to help much


@dataclass(frozen=True)
class ProposedSetting:
    """One setting, as a dotted key, and the reason for its value."""

    key: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Facts:
    """What a recipe depends on.

    photos      labelled photos.
    rarest      groups of the rarest class; groups: what several are called, such as patients.
    imbalance   how many times more photos the most frequent class of a task has than its rarest one, at most.
    sizes       (height, width) in pixels of some photos; shapes: their description in words.
    faces       whether the tasks are about faces, which may be mirrored.
    cores, gpu  of this machine; gpu: name of the device, "" without one.
    """

    photos: int
    rarest: int
    groups: str
    imbalance: float
    sizes: tuple[tuple[int, int], ...]
    shapes: str
    faces: bool
    cores: int
    gpu: str


def propose_recipe(facts: Facts) -> tuple[ProposedSetting, ...]:
    """Return settings for a first training without pretrained weights."""
    folds = _folds(facts)
    batch = _batch_size(facts.photos * (folds.value - 1) / folds.value)
    epochs = _epochs(facts.photos * (folds.value - 1) / folds.value, batch)
    mirrored = 0.5 if facts.faces else 0.0
    network, rate = ("resnet18", 1e-3) if facts.gpu else ("test_resnet", 4e-3)
    machine = facts.gpu or f"{facts.cores} CPU core{'s' if facts.cores > 1 else ''}"
    size = propose_size(facts.sizes, GPU_PIXELS if facts.gpu else CPU_PIXELS)
    return (
        folds,
        ProposedSetting("model.backbone", network, f"for {machine}: {_WHY[network]}"),
        ProposedSetting("transforms.size", list(size), f"height, width. The photos: {facts.shapes}"),
        ProposedSetting("transforms.hflip", mirrored, _WHY_MIRRORED[facts.faces]),
        ProposedSetting("optim.lr", rate, "for random weights; smaller with pretrained weights, see below"),
        ProposedSetting("schedule.warmup_epochs", 1.0, "random weights change much in the first steps"),
        ProposedSetting("average.decay", 0.98 if batch == 64 else 0.95, "the average of the weights must keep up"),
        ProposedSetting("train.epochs", epochs, f"about {STEPS} steps, in {FEWEST_EPOCHS} to {MOST_EPOCHS} epochs"),
        ProposedSetting("train.batch_size", batch, "larger for more photos"),
        ProposedSetting("predict.views", "hflip" if mirrored else "none", "as transforms.hflip"),
    )


def pretrained_settings(facts: Facts) -> tuple[ProposedSetting, ...]:
    """Return the settings that change with pretrained weights: those of the shipped configuration `multi`."""
    size = propose_size(facts.sizes, GPU_PIXELS if facts.gpu else PRETRAINED_CPU_PIXELS)
    return (
        ProposedSetting("model.backbone", "mobilenetv4_conv_small", ""),
        ProposedSetting("model.pretrained", True, ""),
        ProposedSetting("transforms.size", list(size), ""),
        ProposedSetting("optim.lr", 3e-4, ""),
        ProposedSetting("optim.head_lr_scale", 10.0, ""),
    )


def loss_reason(facts: Facts) -> str:
    """Say why no setting for rare classes is proposed."""
    return (
        f"A class has {facts.imbalance:.0f} times the photos of the rarest one of its task. No loss or sampler for "
        "rare classes is set: none has a proven gain in our measurements (benchmarks/README.md)."
    )


_WHY = {
    "test_resnet": "a very small network, which trains in minutes",
    "resnet18": "a network of medium size",
}
_WHY_MIRRORED = {
    True: "a mirrored face has the same labels",
    False: "the data do not say whether a mirrored photo keeps its class; if it does, 0.5 helps",
}


def _folds(facts: Facts) -> ProposedSetting:
    k = max(2, min(MOST_FOLDS, facts.rarest))
    if k == MOST_FOLDS:
        enough = f"the rarest class has {facts.rarest} {facts.groups}: enough for every fold"
        return ProposedSetting("folds.k", k, enough)
    return ProposedSetting("folds.k", k, f"the rarest class has only {facts.rarest} {facts.groups}")


def _batch_size(photos: float) -> int:
    """Return 16, 32 or 64: about 50 steps per epoch or more."""
    return next((size for size in (64, 32) if photos >= 50 * size), 16)


def _epochs(photos: float, batch: int) -> int:
    steps_per_epoch = max(1.0, photos / batch)
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(STEPS / steps_per_epoch)))
