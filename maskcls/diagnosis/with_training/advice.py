"""What reduces a part of the error: settings that a training of this configuration uses, and other steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from maskcls.groupnouns import Noun, photos_of_more, possessive
from maskcls.results.diagnosis.error_parts import PartName
from maskcls.schema import Config

REDUCES: Mapping[PartName, tuple[str, ...]] = {  # {many}: what the groups are called; {photos}: what to collect
    "bias": (
        "more train.epochs, or a higher optim.lr: maskcls bench lr DATA",
        "a larger model.backbone, or a larger transforms.size",
        "less regularisation: transforms.preset=light, model.drop=0, optim.weight_decay=0.01",
        "wrong labels, which no network should learn: maskcls data labels RUN",
    ),
    "variance": (
        "{photos}; see the learning curve",
        "more augmentation: transforms.preset=medium, mix.kind=cutmix",
        "pretrained weights: model.pretrained=true, or model.weights=FILE",
        "more regularisation: model.drop=0.3, optim.weight_decay=0.1; the mean of several networks: train.seeds=3",
    ),
    "over-fitted validation": (
        "train.select=last, or fewer choices on the same {many}",
        "more {many} to validate: all folds in place of --folds 0",
        "folds.sealed=0.1 and maskcls unseal, for one score without any choice",
    ),
    "shift": (
        "compare the sealed {whose} photos with the others: maskcls evaluate RUN",
        "new {many} like those to predict; augmentation that covers their photos: transforms.preset=strong",
        "fewer choices between runs: maskcls runs compare RUN RUN",
    ),
}
AUGMENTED = 4  # augmented views to begin with: each takes as long as a view


def what_reduces(part: PartName, cfg: Config, noun: Noun) -> tuple[str, ...]:
    """Return what to try against a part of the error, the most promising first.

    cfg  of the training. Heads that are fitted have no steps, so their advice names settings of heads and of images.
    """
    words = {"many": noun[1], "whose": possessive(noun[1]), "photos": photos_of_more(noun)}
    steps = REDUCES[part] if cfg.model.train == "all" else tuple(_of_fitted_heads(part, cfg))
    return tuple(step.format(**words) for step in steps)


def _of_fitted_heads(part: PartName, cfg: Config) -> Iterator[str]:
    heads = cfg.heads
    chosen = "regularisation chosen on the training {many}: heads.strength=auto"
    match part:
        case "bias":
            yield "a larger model.backbone, or a larger transforms.size"
            if heads.kind != "mlp":
                yield "heads with a hidden layer: heads.kind=mlp"
            if heads.strength != "auto":
                yield chosen
            yield "wrong labels, which no head should learn: maskcls data labels RUN"
            yield "a training of the backbone as well: model.train=all"
        case "variance":
            yield "{photos}"
            yield _augmentation(cfg, "medium")
            yield "a backbone trained on photos like these: model.weights=FILE"
            if heads.strength != "auto":
                yield chosen
            if heads.kind == "mlp" and cfg.train.seeds == 1:
                yield "the mean of several networks: train.seeds=3"
        case "over-fitted validation":
            yield "fewer choices on the same {many}"
            yield from REDUCES[part][1:]
        case "shift":
            first, _, last = REDUCES[part]
            yield first
            yield f"new {{many}} like those to predict; {_augmentation(cfg, 'strong')}"
            yield last
        case _:
            assert_never(part)


def _augmentation(cfg: Config, preset: str) -> str:
    views = cfg.heads.augmented or AUGMENTED
    return f"augmented views of each photo: heads.augmented={views} transforms.preset={preset}"
