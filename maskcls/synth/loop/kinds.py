"""The kinds of generators that make images, by name."""

from __future__ import annotations

from typing import assert_never

import torch

from maskcls.errors import UsageError
from maskcls.schema import Config
from maskcls.synth.loop.player import Player
from maskcls.synth.loop.synth_rows import SynthRows


def build_player(cfg: Config, rows: SynthRows, fold: int, device: torch.device) -> Player:
    """Build the networks and optimizers of cfg.synth.kind at their start, for the generator of one fold."""
    match cfg.synth.kind:
        case "dcgan" | "wgan-gp":
            from maskcls.synth.gans.gan_player import GanPlayer

            return GanPlayer(cfg, rows, fold, device)
        case "cyclegan":
            from maskcls.synth.cyclegan.player import build_cyclegan

            return build_cyclegan(cfg, rows, fold, device)
        case "smote" | "oversample":
            raise UsageError(
                "this kind has no networks of images",
                where=f"synth.kind={cfg.synth.kind}",
                fix="choose dcgan, wgan-gp or cyclegan",
            )
        case _:
            assert_never(cfg.synth.kind)
