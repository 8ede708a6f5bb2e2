"""Points around two centres: WGAN-GP finds both, a plain GAN with too strong a discriminator one, and is told so."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maskcls.results.synth.training_watch import watch_findings
from maskcls.synth.gans.gan_losses import (
    critic_generator_loss,
    critic_loss,
    discriminator_loss,
    discriminator_targets,
    generator_loss,
    gradient_norms,
    gradient_penalty,
    interpolates,
)
from maskcls.synth.loop.diversity import relative_diversity

CENTRES = torch.tensor([[-2.0, 0.0], [2.0, 0.0]])
SPREAD, BATCH, LINES = 0.1, 64, 12


def points(count: int) -> Tensor:
    """Return as many points (N, 2) around each centre."""
    return CENTRES.repeat_interleave(count // 2, dim=0) + SPREAD * torch.randn(count, 2)


def network(out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, out))


@dataclass
class Toy:
    """A generator and its opponent in training."""

    wasserstein: bool
    turns: int
    lr_judge: float
    lr_made: float

    def __post_init__(self) -> None:
        self.made, self.judge = network(2), network(1)
        nn.init.constant_(self.made[-1].bias, 1.0)  # nearer to one of the centres
        betas = (0.0, 0.9) if self.wasserstein else (0.5, 0.999)
        self.of_made = torch.optim.Adam(self.made.parameters(), lr=self.lr_made, betas=betas, fused=True)
        self.of_judge = torch.optim.Adam(self.judge.parameters(), lr=self.lr_judge, betas=betas, fused=True)

    def step(self) -> dict[str, float]:
        for _ in range(self.turns):
            real_B2, fake_B2 = points(BATCH), self.made(torch.randn(BATCH, 2)).detach()
            real_B, fake_B = self.judge(real_B2).squeeze(1), self.judge(fake_B2).squeeze(1)
            if self.wasserstein:
                mixed = interpolates(real_B2, fake_B2, torch.rand(BATCH))
                loss = critic_loss(real_B, fake_B)
                loss = loss + gradient_penalty(gradient_norms(lambda x: self.judge(x).squeeze(1), mixed), 10.0)
            else:
                targets = discriminator_targets(torch.rand(4, BATCH), real_label=1.0, label_noise=0.0, label_flips=0.0)
                loss = discriminator_loss(real_B, fake_B, targets)
            descend(loss, self.of_judge)
        score_B = self.judge(self.made(torch.randn(BATCH, 2))).squeeze(1)
        loss_made = critic_generator_loss(score_B) if self.wasserstein else generator_loss(score_B)
        descend(loss_made, self.of_made)
        right = ((real_B > 0).float().mean() + (fake_B < 0).float().mean()).item() / 2
        return {"loss_generator": loss_made.item(), **({} if self.wasserstein else {"accuracy": right})}

    def samples(self) -> Tensor:
        with torch.no_grad():
            made: Tensor = self.made(torch.randn(200, 2))
        return made


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def train(toy: Toy, steps: int) -> list[dict[str, float]]:
    """Train, and return the log."""
    lines = []
    for step in range(steps):
        numbers = toy.step()
        if (step + 1) % (steps // LINES) == 0:
            lines.append({**numbers, "diversity": relative_diversity(toy.samples(), points(200))})
    return lines


def shares(samples_N2: Tensor) -> list[float]:
    """Return the share of samples within half the distance to the origin of each centre."""
    return [float((torch.linalg.vector_norm(samples_N2 - centre, dim=1) < 1.0).float().mean()) for centre in CENTRES]


def test_wgan_gp_finds_both_centres() -> None:
    # Of six seeds, each gave 38 % or more to either centre; a collapse gives 0 to one.
    toy = Toy(wasserstein=True, turns=5, lr_judge=2e-3, lr_made=2e-3)
    lines = train(toy, 360)
    found = shares(toy.samples())
    assert min(found) > 0.15, found
    assert watch_findings(lines, "wgan-gp") == []


def test_a_plain_gan_with_too_strong_a_discriminator_collapses_and_is_told_so() -> None:
    # Of ten seeds, each gave 0 to one centre and all to the other, with diversities below 0.1.
    toy = Toy(wasserstein=False, turns=20, lr_judge=1e-2, lr_made=2e-3)
    lines = train(toy, 120)
    found = shares(toy.samples())
    assert min(found) < 0.02, found
    (told,) = [one for one in watch_findings(lines, "dcgan") if one.name == "mode-collapse"]
    assert "synth.kind=wgan-gp" in told.advice


def test_a_discriminator_that_is_always_right_is_told_so() -> None:
    # A generator that hardly moves: the discriminator separates its points from the others within a few steps.
    toy = Toy(wasserstein=False, turns=5, lr_judge=1e-2, lr_made=1e-6)
    lines = train(toy, 48)
    assert lines[-1]["accuracy"] > 0.99
    assert "strong-discriminator" in {one.name for one in watch_findings(lines, "dcgan")}
