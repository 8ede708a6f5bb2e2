"""CycleGAN in training: two generators, two discriminators, and one step.

B pairs of photos. "there" translates from the source to the target, "back" the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maskcls.engine.device import move_network
from maskcls.labels import Ints
from maskcls.nn.average import build_ema
from maskcls.schema import Config
from maskcls.synth.cyclegan.cycle_losses import (
    CycleCritics,
    CycleGenerators,
    Translated,
    cycle_generator_losses,
    patch_critic_loss,
)
from maskcls.synth.cyclegan.cycle_watch import compared_rows, patch_accuracy, score_gap
from maskcls.synth.cyclegan.domains import domains_of
from maskcls.synth.cyclegan.image_pool import ImagePool
from maskcls.synth.cyclegan.linear_rate import rate_factor
from maskcls.synth.cyclegan.pairs import drawn_pairs, pair_source
from maskcls.synth.cyclegan.patch_critic import build_patch_critic
from maskcls.synth.cyclegan.translators import TranslatorShape, build_translator
from maskcls.synth.gans.diff_augment import DRAWS, diff_augment
from maskcls.synth.gans.gan_player import EMA_POWER
from maskcls.synth.gans.pixels import tiled, to_pixels, to_unit
from maskcls.synth.loop.diversity import relative_diversity
from maskcls.synth.loop.log_lines import is_logged
from maskcls.synth.loop.optimizers import build_adam, descend, synth_execution
from maskcls.synth.loop.step_draws import drawing
from maskcls.synth.loop.synth_rows import SynthRows

SHEET_PAIRS = 8
# What random numbers are for; a part of their key.
WEIGHTS, PAIRS, POOLS, CHANGES, SHEET = range(5)
# Images that are changed at random before a discriminator, in this order.
MADE_TARGET, MADE_SOURCE, REAL_TARGET, POOLED_TARGET, REAL_SOURCE, POOLED_SOURCE = range(6)

Change = Callable[[Tensor, int], Tensor]


def build_cyclegan(cfg: Config, rows: SynthRows, fold: int, device: torch.device) -> CycleganPlayer:
    """Build the networks, whose first weights are a function of (seed, fold), and what is needed to train them.

    Raises DataError when no labels of the tasks that are kept occur in both classes.
    """
    return CycleganPlayer(cfg, rows, fold, device)


class CycleganPlayer:
    """CycleGAN as the training loop needs it, see `maskcls.synth.loop.player.Player`."""

    def __init__(self, cfg: Config, rows: SynthRows, fold: int, device: torch.device) -> None:
        synth = cfg.synth
        self.settings, self.key, self.device = synth, (cfg.seed, fold), device
        self.execution = synth_execution(cfg.device, device)
        self.images_NHWC = torch.from_numpy(rows.images_NHWC).to(device)
        self.domains = domains_of(synth.from_classes, rows)
        source_N, target_N = self.domains.rows(rows.labels)
        key_N = self.domains.kept_key(rows.labels)
        self.pairs = pair_source(source_N, target_N, key_N, rows.person_N, self.domains)
        self.compared = compared_rows(source_N, target_N, key_N, rows.person_N)
        self.shape = TranslatorShape(
            synth.network, synth.width, synth.blocks, synth.padding, synth.upsample, synth.size
        )
        weights = drawing(*self.key, 0, WEIGHTS)
        self.there, self.back = (build_translator(self.shape, weights) for _ in range(2))
        self.target_critic, self.source_critic = (
            build_patch_critic(synth.size, synth.width, weights) for _ in range(2)
        )
        for network in (self.there, self.back, self.target_critic, self.source_critic):
            move_network(network, device, self.execution)
        self.averages = {
            name: build_ema(network, decay=synth.ema, power=EMA_POWER)
            for name, network in (("there", self.there), ("back", self.back))
        }
        self.networks: Mapping[str, nn.Module] = {
            "there": self.there,
            "back": self.back,
            "target_critic": self.target_critic,
            "source_critic": self.source_critic,
            "there_ema": self.averages["there"].module,
            "back_ema": self.averages["back"].module,
        }
        self.generators = nn.ModuleList([self.there, self.back])
        self.critics = nn.ModuleList([self.target_critic, self.source_critic])
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "generators": build_adam(self.generators, synth.lr_generator, synth),
            "critics": build_adam(self.critics, synth.lr_critic, synth),
        }
        self.pools = {"target": ImagePool(synth.pool), "source": ImagePool(synth.pool)}

    def step(self, step: int) -> dict[str, float]:
        """Train the generators and then the discriminators on one batch of pairs."""
        settings = self.settings
        factor = rate_factor(step, steps=settings.steps, decay_share=settings.decay_share)
        for name, rate in (("generators", settings.lr_generator), ("critics", settings.lr_critic)):
            for group in self.optimizers[name].param_groups:
                group["lr"] = rate * factor
        real = self._drawn_photos(settings.batch_size, drawing(*self.key, step, PAIRS))
        uniform_6BD = torch.rand((6, settings.batch_size, DRAWS), generator=drawing(*self.key, step, CHANGES)).to(
            self.device
        )

        def changed(images_BCHW: Tensor, use: int) -> Tensor:
            return diff_augment(images_BCHW, uniform_6BD[use], settings.augment)

        numbers, made = self._train_generators(real, changed)
        numbers |= self._train_critics(real, self._pooled(made, step), changed)
        self.averages["there"].update(self.there, step=step + 1)
        self.averages["back"].update(self.back, step=step + 1)
        if self.compared.enough and is_logged(step + 1, settings.steps):
            numbers["diversity"] = self._diversity()
        return numbers

    def _train_generators(self, real: Translated, changed: Change) -> tuple[dict[str, float], Translated]:
        """Do the step of both generators; returns their losses, and the translated images from before it."""
        self.critics.requires_grad_(False)
        critics = CycleCritics(
            source=lambda one: self.source_critic(changed(one, MADE_SOURCE)).float(),
            target=lambda one: self.target_critic(changed(one, MADE_TARGET)).float(),
        )
        with self.execution.autocast(self.device):
            losses, made = cycle_generator_losses(
                real.source_BCHW,
                real.target_BCHW,
                CycleGenerators(lambda one: self.there(one).float(), lambda one: self.back(one).float()),
                critics,
                cycle=self.settings.cycle,
                identity=self.settings.identity,
            )
        loss = torch.stack(list(losses.values())).sum()
        norm = descend(loss, self.generators, self.optimizers["generators"])
        self.critics.requires_grad_(True)
        numbers = {f"loss_{name}": float(one.detach()) for name, one in losses.items()}
        return {**numbers, "loss_generator": float(loss.detach()), "gradient_generator": norm}, made

    def _train_critics(self, real: Translated, fake: Translated, changed: Change) -> dict[str, float]:
        """Do the step of both discriminators; returns their losses."""
        with self.execution.autocast(self.device):
            target = (
                self.target_critic(changed(real.target_BCHW, REAL_TARGET)).float(),
                self.target_critic(changed(fake.target_BCHW, POOLED_TARGET)).float(),
            )
            source = (
                self.source_critic(changed(real.source_BCHW, REAL_SOURCE)).float(),
                self.source_critic(changed(fake.source_BCHW, POOLED_SOURCE)).float(),
            )
            loss = patch_critic_loss(*target) + patch_critic_loss(*source)
        norm = descend(loss, self.critics, self.optimizers["critics"])
        return {
            "loss_critic": float(loss.detach()),
            "gradient_critic": norm,
            "accuracy_target": patch_accuracy(*target),
            "accuracy_source": patch_accuracy(*source),
            "gap_target": score_gap(*target),
            "gap_source": score_gap(*source),
        }

    def _pooled(self, made: Translated, step: int) -> Translated:
        """Return the generated images for the discriminators: new ones, or earlier ones from the pools."""
        drawn = drawing(*self.key, step, POOLS)

        def exchanged(pool: ImagePool, images_BCHW: Tensor) -> Tensor:
            count, capacity = len(images_BCHW), max(pool.capacity, 1)
            coin_B = torch.rand(count, generator=drawn) < 0.5
            slot_B = torch.randint(capacity, (count,), generator=drawn)
            return pool.exchange(images_BCHW, stored_B=coin_B.tolist(), slot_B=slot_B.tolist())

        return Translated(
            target_BCHW=exchanged(self.pools["target"], made.target_BCHW),
            source_BCHW=exchanged(self.pools["source"], made.source_BCHW),
        )

    def extra_tensors(self) -> dict[str, Tensor]:
        """Return the images of both pools."""
        return {f"pool_{name}": pool.images_PCHW for name, pool in self.pools.items()}

    def load_extra(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the images of both pools."""
        for name, pool in self.pools.items():
            pool.images_PCHW = tensors[f"pool_{name}"].to(self.device)

    @torch.no_grad()
    def sheet(self) -> NDArray[np.uint8]:
        """Return a sheet of pairs, one per row: a photo of the source, translated there, and back; then one of the
        target, translated back, and there."""
        real = self._drawn_photos(SHEET_PAIRS, drawing(*self.key, 0, SHEET))
        there, back = self.averages["there"].module, self.averages["back"].module
        made_target, made_source = there(real.source_BCHW), back(real.target_BCHW)
        columns = (
            *(real.source_BCHW, made_target, back(made_target)),
            *(real.target_BCHW, made_source, there(made_source)),
        )
        pixels_BCHWC = np.stack([to_pixels(one) for one in columns], axis=1)
        return tiled(pixels_BCHWC.reshape(-1, *pixels_BCHWC.shape[2:]), len(columns))

    @torch.no_grad()
    def _diversity(self) -> float:
        made_BCHW = self.averages["there"].module(self._images(self.compared.source_R))
        return relative_diversity(made_BCHW.flatten(1), self._images(self.compared.target_R).flatten(1))

    def generator(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the averaged weights of both directions, and what `translate` needs to use them."""
        averages = {name: average.module for name, average in self.averages.items()}
        return _together(averages), self._facts()

    def critic(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the weights of both discriminators, and what is needed to rebuild them."""
        return _together({"target": self.target_critic, "source": self.source_critic}), self._facts()

    def _facts(self) -> dict[str, Any]:
        return {"kind": "cyclegan", "shape": self.shape.to_json(), "domains": self.domains.to_json()}

    def _drawn_photos(self, count: int, drawn: torch.Generator) -> Translated:
        """Return photos of both domains, with equal kept labels in each pair."""
        uniform_B4 = torch.rand((count, 4), generator=drawn, dtype=torch.float64).numpy()
        source_B, target_B = drawn_pairs(self.pairs, uniform_B4)
        return Translated(target_BCHW=self._images(target_B), source_BCHW=self._images(source_B))

    def _images(self, row_B: Ints) -> Tensor:
        images_BCHW = to_unit(self.images_NHWC[torch.from_numpy(row_B).to(self.device)])
        return images_BCHW.contiguous(memory_format=self.execution.layout)


def _together(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the weights of several networks, each name with its network's before it."""
    return {
        f"{name}.{key}": tensor for name, network in networks.items() for key, tensor in network.state_dict().items()
    }
