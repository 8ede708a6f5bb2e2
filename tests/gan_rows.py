"""Made-up rows for generators: coloured squares whose colour and place follow the labels."""

from __future__ import annotations

import numpy as np
import torch

from maskcls import config
from maskcls.labels import CONTEST
from maskcls.schema import Config
from maskcls.synth.gans.gan_player import GanPlayer
from maskcls.synth.loop.synth_rows import SynthRows, of_classes

SETTINGS = (
    "synth.size=[32, 16]",
    "synth.width=4",
    "synth.latent=8",
    "synth.batch_size=6",
    "synth.steps=4",
    "synth.critic_steps=2",
    "device.type=cpu",
)


def gan_config(*words: str) -> Config:
    """Return tiny settings of a generator."""
    given = {word.partition("=")[0]: word for word in (*SETTINGS, *words)}
    return config.load(None, list(given.values()))[0]


def made_rows(size: tuple[int, int] = (32, 16), people: int = 12, fold: int = 0) -> SynthRows:
    """Return two rows per person, of random labels."""
    rng = np.random.default_rng(0)
    label_N = rng.integers(18, size=2 * people)
    labels = CONTEST.decode(label_N)
    images = rng.integers(0, 60, (2 * people, *size, 3), dtype=np.uint8)
    for image, joint in zip(images, label_N, strict=True):
        image[:, :, joint % 3] += np.uint8(80 + 6 * joint)
    classes = {"age": (">=60",)}
    return SynthRows(
        images_NHWC=images,
        label_N=label_N,
        labels=labels,
        person_N=np.repeat(np.arange(people), 2),
        ids=tuple(map(str, range(2 * people))),
        target_N=of_classes(labels, classes, CONTEST),
        space=CONTEST,
        fold=fold,
        classes=classes,
    )


def gan_player(*words: str, rows: SynthRows | None = None, fold: int = 0) -> GanPlayer:
    """Return a new player."""
    cfg = gan_config(*words)
    return GanPlayer(cfg, rows or made_rows(cfg.synth.size), fold, torch.device("cpu"))
