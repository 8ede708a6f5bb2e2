"""Made-up rows for a CycleGAN: red images of people in the middle, blue ones of old people, masks as bright lines."""

from __future__ import annotations

import numpy as np
import torch

from maskcls import config
from maskcls.labels import CONTEST
from maskcls.schema import Config
from maskcls.synth.cyclegan.player import CycleganPlayer, build_cyclegan
from maskcls.synth.loop.synth_rows import SynthRows, of_classes

SETTINGS = (
    "synth.kind=cyclegan",
    "synth.size=[32, 16]",
    "synth.width=4",
    "synth.blocks=1",
    "synth.batch_size=2",
    "synth.steps=8",
    "synth.pool=3",
    "synth.classes={age: ['>=60']}",
    "device.type=cpu",
)


def cyclegan_config(*words: str) -> Config:
    """Return tiny settings of a CycleGAN."""
    given = {word.partition("=")[0]: word for word in (*SETTINGS, *words)}
    return config.load(None, list(given.values()))[0]


def cyclegan_rows(cfg: Config, people: int = 12, photos: int = 2, fold: int = 0) -> SynthRows:
    """Return rows of so many people, every third one old and the others in the middle; each photo has another mask."""
    rng = np.random.default_rng(0)
    person_N = np.repeat(np.arange(people), photos)
    age_N = np.where(person_N % 3 == 0, 2, 1)
    mask_N = np.tile(np.arange(photos), people) % 3
    labels = {"mask": mask_N, "gender": person_N % 2, "age": age_N}
    images_NHWC = rng.integers(0, 60, (len(person_N), *cfg.synth.size, 3), dtype=np.uint8)
    images_NHWC[age_N == 1, :, :, 0] += np.uint8(150)
    images_NHWC[age_N == 2, :, :, 2] += np.uint8(150)
    images_NHWC[mask_N == 0, 20:24] = 250
    classes = dict(cfg.synth.classes)
    return SynthRows(
        images_NHWC=images_NHWC,
        label_N=CONTEST.encode(labels),
        labels=labels,
        person_N=person_N,
        ids=tuple(map(str, range(len(person_N)))),
        target_N=of_classes(labels, classes, CONTEST),
        space=CONTEST,
        fold=fold,
        classes=classes,
    )


def cyclegan_player(*words: str, fold: int = 0) -> CycleganPlayer:
    """Return a new player."""
    cfg = cyclegan_config(*words)
    return build_cyclegan(cfg, cyclegan_rows(cfg, fold=fold), fold, torch.device("cpu"))
