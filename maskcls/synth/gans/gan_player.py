"""dcgan and wgan-gp in training: a conditional generator, and the discriminator or critic it is trained against.

B batch, C channels, H height, W width, T tasks, Z random inputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from maskcls.engine.device import move_network
from maskcls.engine.fit import stream_seed
from maskcls.nn.average import build_ema
from maskcls.schema import Config
from maskcls.synth.gans.critic_network import Critic, CriticNorm, CriticPlan
from maskcls.synth.gans.diff_augment import DRAWS, diff_augment
from maskcls.synth.gans.gan_losses import (
    critic_generator_loss,
    critic_loss,
    discriminator_loss,
    discriminator_targets,
    generator_loss,
    gradient_norms,
    gradient_penalty,
    interpolates,
    noise_scale,
)
from maskcls.synth.gans.generator_network import Generator, GeneratorPlan
from maskcls.synth.gans.pixels import tiled, to_pixels, to_unit
from maskcls.synth.loop.diversity import relative_diversity
from maskcls.synth.loop.log_lines import is_logged
from maskcls.synth.loop.optimizers import build_adam, descend, synth_execution
from maskcls.synth.loop.step_draws import BatchDraws, drawing
from maskcls.synth.loop.synth_rows import SynthRows

EMA_POWER = 0.75  # of the warm-up of the average, see `build_ema`
SHEET_CLASSES, SHEET_COLUMNS = 6, 8
COMPARED = 64  # samples and photos whose distances are compared

# What random numbers are drawn for: a number each, which never changes its meaning.
START, SHEET, DROPOUT, ROWS, NOISE, REAL_CHANGES, FAKE_CHANGES, ALPHA, TARGETS, REAL_NOISE, FAKE_NOISE, SAMPLES = range(
    12
)
OWN_TURN = -1  # of the step of the generator; those of the critic are counted from 0


class GanPlayer:
    """The networks of dcgan or wgan-gp with one training step, see `Player`.

    cfg.synth says everything about them; `cfg.seed` and the fold seed every random number.
    """

    def __init__(self, cfg: Config, rows: SynthRows, fold: int, device: torch.device) -> None:
        self.synth, self.seed, self.fold, self.device = cfg.synth, cfg.seed, fold, device
        self.space = rows.space
        self.execution = synth_execution(cfg.device, device)
        self.images_NHWC = torch.from_numpy(np.ascontiguousarray(rows.images_NHWC)).to(device)
        self.label_NT = torch.from_numpy(np.stack([rows.labels[name] for name in rows.space.names], axis=1)).to(device)
        self.draws = BatchDraws.of(rows.person_N, rows.target_N)
        torch.manual_seed(stream_seed(self.seed, fold, START))
        how, shape = cfg.synth, rows.space.shape
        self.generator_network = Generator(GeneratorPlan(how.size, how.latent, how.width, how.upsample, shape))
        wasserstein = how.kind == "wgan-gp"
        norm: CriticNorm = how.critic_norm if wasserstein else "batch"
        dropout = 0.0 if wasserstein else how.dropout
        self.critic_network = Critic(CriticPlan(how.size, how.width, norm, dropout, how.condition, shape))
        for network in (self.generator_network, self.critic_network):
            move_network(network, device, self.execution)
        self.average = build_ema(self.generator_network, decay=how.ema, power=EMA_POWER)
        self.networks: Mapping[str, nn.Module] = {
            "generator": self.generator_network,
            "critic": self.critic_network,
            "ema": self.average.module,
        }
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {
            "generator": build_adam(self.generator_network, how.lr_generator, how),
            "critic": build_adam(self.critic_network, how.lr_critic, how),
        }
        self.compared_R = _compared(rows)
        self.sheet_label_BT = self.label_NT[_of_sheet(rows)].repeat_interleave(SHEET_COLUMNS, dim=0)

    def step(self, step: int) -> dict[str, float]:
        """Do `critic_steps` steps of the critic, or one of the discriminator, and one of the generator."""
        torch.manual_seed(stream_seed(self.seed, self.fold, step, DROPOUT))
        turns = self.synth.critic_steps if self.synth.kind == "wgan-gp" else 1
        numbers: dict[str, float] = {}
        for turn in range(turns):
            numbers = self._critic_step(step, turn)
        numbers |= self._generator_step(step)
        self.average.update(self.generator_network, step=step + 1)
        if len(self.compared_R) > 1 and is_logged(step + 1, self.synth.steps):
            numbers |= self._diversity(step)
        return numbers

    def extra_tensors(self) -> dict[str, Tensor]:
        """Return nothing: the networks and optimizers are all there is."""
        return {}

    def load_extra(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore nothing."""
        assert not tensors

    def sheet(self) -> NDArray[np.uint8]:
        """Return samples of the average: one row per joint class, one column per random input."""
        rows = len(self.sheet_label_BT) // SHEET_COLUMNS
        noise = torch.randn(SHEET_COLUMNS, self.synth.latent, generator=drawing(self.seed, self.fold, 0, SHEET))
        return tiled(to_pixels(self._samples(noise.repeat(rows, 1), self.sheet_label_BT)), SHEET_COLUMNS)

    def generator(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the moving average of the generator, see `generator_of`."""
        return self.average.module.state_dict(), self._facts(self.generator_network.plan)

    def critic(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the discriminator or critic, see `critic_of`."""
        return self.critic_network.state_dict(), self._facts(self.critic_network.plan)

    def _facts(self, plan: GeneratorPlan | CriticPlan) -> dict[str, Any]:
        return {"kind": self.synth.kind, "plan": plan.to_json(), "labels": self.space.to_json()}

    def _critic_step(self, step: int, turn: int) -> dict[str, float]:
        """Train the discriminator or critic with photos and as many images generated for the same labels."""
        images_BHWC, label_BT = self._batch(step, turn)
        self._train()
        with torch.no_grad():
            fake_BCHW = self._made(step, turn, label_BT)
        real_BCHW = self._seen(to_unit(images_BHWC), step, turn, REAL_CHANGES)
        fake_BCHW = self._seen(fake_BCHW, step, turn, FAKE_CHANGES)
        with self.execution.autocast(self.device):
            real_B = self.critic_network(real_BCHW, label_BT).float()
            fake_B = self.critic_network(fake_BCHW, label_BT).float()
        if self.synth.kind == "wgan-gp":
            alpha_B = self._uniform((len(label_BT),), step, turn, ALPHA)
            norm_B = gradient_norms(partial(self._score, label_BT), interpolates(real_BCHW, fake_BCHW, alpha_B))
            penalty = gradient_penalty(norm_B, self.synth.penalty)
            loss = critic_loss(real_B, fake_B) + penalty
            about = {"penalty": penalty.item(), "gradient_interpolates": norm_B.mean().item()}
        else:
            loss = discriminator_loss(
                real_B,
                fake_B,
                discriminator_targets(
                    self._uniform((4, len(label_BT)), step, turn, TARGETS),
                    real_label=self.synth.real_label,
                    label_noise=self.synth.label_noise,
                    label_flips=self.synth.label_flips,
                ),
            )
            about = {"accuracy": ((real_B > 0).float().mean() + (fake_B < 0).float().mean()).item() / 2}
        norm = descend(loss, self.critic_network, self.optimizers["critic"])
        gap = (real_B.mean() - fake_B.mean()).item()
        return {"loss_critic": loss.item(), "gap": gap, "gradient_critic": norm, **about}

    def _generator_step(self, step: int) -> dict[str, float]:
        """Train the generator against the discriminator or critic."""
        _, label_BT = self._batch(step, OWN_TURN)
        self._train()
        self.critic_network.requires_grad_(False)
        fake_BCHW = self._seen(self._made(step, OWN_TURN, label_BT), step, OWN_TURN, FAKE_CHANGES)
        with self.execution.autocast(self.device):
            score_B = self.critic_network(fake_BCHW, label_BT).float()
        loss = critic_generator_loss(score_B) if self.synth.kind == "wgan-gp" else generator_loss(score_B)
        norm = descend(loss, self.generator_network, self.optimizers["generator"])
        self.critic_network.requires_grad_(True)
        return {"loss_generator": loss.item(), "gradient_generator": norm}

    def _train(self) -> None:
        self.generator_network.train()
        self.critic_network.train()

    def _score(self, label_BT: Tensor, images_BCHW: Tensor) -> Tensor:
        score_B: Tensor = self.critic_network(images_BCHW, label_BT)
        return score_B

    def _batch(self, step: int, turn: int) -> tuple[Tensor, Tensor]:
        row_B = self.draws.draw(self.synth.batch_size, drawing(self.seed, self.fold, step, ROWS, turn))
        row = torch.from_numpy(row_B).to(self.device)
        return self.images_NHWC[row], self.label_NT[row]

    def _made(self, step: int, turn: int, label_BT: Tensor) -> Tensor:
        noise_BZ = self._normal((len(label_BT), self.synth.latent), step, turn, NOISE)
        with self.execution.autocast(self.device):
            images_BCHW: Tensor = self.generator_network(noise_BZ, label_BT)
        return images_BCHW.float()

    def _seen(self, images_BCHW: Tensor, step: int, turn: int, purpose: int) -> Tensor:
        """Return images as the discriminator or critic gets them: changed, and with dcgan noisy."""
        uniform_BD = self._uniform((len(images_BCHW), DRAWS), step, turn, purpose)
        images_BCHW = diff_augment(images_BCHW, uniform_BD, self.synth.augment)
        scale = noise_scale(self.synth.instance_noise, step, self.synth.steps)
        if self.synth.kind == "wgan-gp" or not scale:
            return images_BCHW
        which = REAL_NOISE if purpose == REAL_CHANGES else FAKE_NOISE
        return images_BCHW + scale * self._normal(tuple(images_BCHW.shape), step, turn, which)

    def _uniform(self, shape: tuple[int, ...], step: int, turn: int, purpose: int) -> Tensor:
        return torch.rand(shape, generator=drawing(self.seed, self.fold, step, purpose, turn)).to(self.device)

    def _normal(self, shape: tuple[int, ...], step: int, turn: int, purpose: int) -> Tensor:
        return torch.randn(shape, generator=drawing(self.seed, self.fold, step, purpose, turn)).to(self.device)

    @torch.no_grad()
    def _samples(self, noise_BZ: Tensor, label_BT: Tensor) -> Tensor:
        with self.execution.autocast(self.device):
            images_BCHW: Tensor = self.average.module(noise_BZ.to(self.device), label_BT)
        return images_BCHW.float()

    def _diversity(self, step: int) -> dict[str, float]:
        row_R = torch.from_numpy(self.compared_R).to(self.device)
        noise_BZ = self._normal((len(row_R), self.synth.latent), step, OWN_TURN, SAMPLES)
        samples_BCHW = self._samples(noise_BZ, self.label_NT[row_R])
        found = relative_diversity(samples_BCHW.flatten(1), to_unit(self.images_NHWC[row_R]).flatten(1))
        return {} if math.isnan(found) else {"diversity": found}


def _compared(rows: SynthRows) -> NDArray[np.int64]:
    """Return the photos that samples are compared with: of the most frequent joint class of the rare rows."""
    of_rare_N = rows.target_N if rows.target_N.any() else np.ones(len(rows.ids), dtype=bool)
    most = np.bincount(rows.label_N[of_rare_N]).argmax()
    return np.flatnonzero(rows.label_N == most)[:COMPARED]


def _of_sheet(rows: SynthRows) -> NDArray[np.int64]:
    """Return one row for each joint class of the sheet: of the most frequent ones of the rare rows, in class order."""
    of_rare_N = rows.target_N if rows.target_N.any() else np.ones(len(rows.ids), dtype=bool)
    counts_J = np.bincount(rows.label_N[of_rare_N], minlength=rows.space.size)
    chosen = [j for j in np.argsort(-counts_J, kind="stable")[:SHEET_CLASSES] if counts_J[j]]
    return np.array([np.flatnonzero(rows.label_N == j)[0] for j in sorted(chosen)], dtype=np.int64)
