"""Losses of generators against values by hand, and against loops in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from maskcls.synth.gans.gan_losses import (
    DiscriminatorTargets,
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

EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.mark.parametrize("weight", [10.0, 2.5])
def test_the_penalty_of_a_linear_critic_is_that_of_its_weights(weight: float) -> None:
    w_CHW = torch.randn(3, 4, 5, dtype=torch.float64)
    inputs_BCHW = torch.randn(7, 3, 4, 5, dtype=torch.float64)

    norm_B = gradient_norms(lambda images: (images * w_CHW).sum(dim=(1, 2, 3)), inputs_BCHW)

    expected = weight * (math.sqrt(float((w_CHW**2).sum())) - 1) ** 2
    torch.testing.assert_close(norm_B, w_CHW.norm().expand(7), **EXACT)
    assert gradient_penalty(norm_B, weight).item() == pytest.approx(expected, rel=1e-12)


def quadratic(a_DD: Tensor, b_D: Tensor, inputs: Tensor) -> Tensor:
    """Return x' A x + b' x of each example, flattened; its gradient is (A + A') x + b."""
    x_BD = inputs.flatten(1)
    return torch.einsum("bd,de,be->b", x_BD, a_DD, x_BD) + x_BD @ b_D


def test_interpolation_and_penalty_equal_a_loop_in_double_precision() -> None:
    rng = np.random.default_rng(3)
    batch, shape = 5, (3, 2, 4)
    size = math.prod(shape)
    real, fake = rng.normal(size=(2, batch, *shape))
    alpha, a_DD, b_D = rng.random(batch), rng.normal(size=(size, size)), rng.normal(size=size)

    expected_mix, total = np.empty_like(real), 0.0
    for b in range(batch):
        gradient = [0.0] * size
        flat = []
        for place in np.ndindex(*shape):
            expected_mix[b][place] = alpha[b] * real[b][place] + (1 - alpha[b]) * fake[b][place]
            flat.append(expected_mix[b][place])
        for i in range(size):
            gradient[i] = b_D[i] + sum((a_DD[i, j] + a_DD[j, i]) * flat[j] for j in range(size))
        total += (math.sqrt(math.fsum(g * g for g in gradient)) - 1) ** 2

    as_tensor = torch.from_numpy
    mixed = interpolates(as_tensor(real), as_tensor(fake), as_tensor(alpha))
    norm_B = gradient_norms(lambda x: quadratic(as_tensor(a_DD), as_tensor(b_D), x), mixed)
    np.testing.assert_allclose(mixed.numpy(), expected_mix, rtol=1e-12)
    assert gradient_penalty(norm_B, 10.0).item() == pytest.approx(10 * total / batch, rel=1e-10)


def test_the_penalty_has_a_gradient_for_the_critic_but_none_for_the_images() -> None:
    w_D = torch.tensor([3.0, 4.0], dtype=torch.float64, requires_grad=True)
    images_BD = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(gradient_norms(lambda x: x @ w_D, images_BD), 10.0)
    penalty.backward()  # type: ignore[no-untyped-call]
    assert w_D.grad is not None
    # d/dw of 10 (|w| - 1)^2 is 20 (|w| - 1) w / |w|, with |w| = 5
    torch.testing.assert_close(w_D.grad, 20 * 4 * torch.tensor([0.6, 0.8], dtype=torch.float64), **EXACT)
    assert images_BD.grad is None


def test_the_gradient_of_an_example_is_its_own_with_the_norms_of_the_critic() -> None:
    for norm in (nn.GroupNorm(1, 4), nn.GroupNorm(4, 4), nn.Identity()):
        torch.manual_seed(0)
        critic = nn.Sequential(nn.Conv2d(2, 4, 3), norm, nn.Tanh(), nn.Flatten(), nn.Linear(4 * 9, 1)).double()
        images_BCHW = torch.randn(4, 2, 5, 5, dtype=torch.float64)
        together = gradient_norms(lambda x, net=critic: net(x).squeeze(1), images_BCHW)  # type: ignore[misc]
        alone = [gradient_norms(lambda x, net=critic: net(x).squeeze(1), one[None]) for one in images_BCHW]  # type: ignore[misc]
        torch.testing.assert_close(together, torch.cat(alone), **EXACT)


def test_label_smoothing_by_hand() -> None:
    real_B, fake_B = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.tensor([0.5, 0.0], dtype=torch.float64)
    targets = discriminator_targets(torch.rand(4, 2).double(), real_label=0.9, label_noise=0.0, label_flips=0.0)

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    of_real = [-0.9 * math.log(sigmoid(s)) - 0.1 * math.log(1 - sigmoid(s)) for s in (2.0, -1.0)]
    of_fake = [-math.log(1 - sigmoid(s)) for s in (0.5, 0.0)]
    assert targets.real_B.tolist() == [0.9, 0.9]
    assert targets.fake_B.tolist() == [0.0, 0.0]
    assert discriminator_loss(real_B, fake_B, targets).item() == pytest.approx(sum(of_real) / 2 + sum(of_fake) / 2)


def test_with_smoothing_the_best_answer_to_photos_is_the_smoothed_label() -> None:
    score_B = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([score_B], max_iter=50, tolerance_grad=1e-12, tolerance_change=1e-14)

    def closure() -> Tensor:
        optimizer.zero_grad()
        real = DiscriminatorTargets(torch.tensor([0.9]).double(), torch.tensor([0.0]).double())
        loss = discriminator_loss(score_B, torch.tensor([-50.0]).double(), real)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)
    assert torch.sigmoid(score_B).item() == pytest.approx(0.9, abs=1e-6)


def test_noisy_labels_lie_within_their_interval_and_stay_probabilities() -> None:
    uniform_4B = torch.rand(4, 2000)
    targets = discriminator_targets(uniform_4B, real_label=0.9, label_noise=0.2, label_flips=0.0)
    np.testing.assert_allclose(targets.real_B, np.clip(0.9 + 0.2 * (2 * uniform_4B[0].numpy() - 1), 0, 1), rtol=1e-6)
    np.testing.assert_allclose(targets.fake_B, np.clip(0.2 * (2 * uniform_4B[1].numpy() - 1), 0, 1), atol=1e-7)
    assert float(targets.real_B.min()) >= 0.7 - 1e-6
    assert float(targets.real_B.max()) == 1.0
    assert float(targets.fake_B.min()) == 0.0


def test_flipped_labels_are_those_of_the_other_side() -> None:
    uniform_4B = torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.1, 0.9], [0.9, 0.1]])
    targets = discriminator_targets(uniform_4B, real_label=0.75, label_noise=0.0, label_flips=0.2)
    assert targets.real_B.tolist() == [0.0, 0.75]
    assert targets.fake_B.tolist() == [0.0, 0.75]
    share = discriminator_targets(torch.rand(4, 20_000), real_label=1.0, label_noise=0.0, label_flips=0.3).real_B
    assert 1 - share.mean().item() == pytest.approx(0.3, abs=0.02)  # five standard errors


def test_losses_of_generator_and_critic_by_hand() -> None:
    fake_B, real_B = torch.tensor([1.0, -3.0]), torch.tensor([2.0, 4.0])
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(3))) / 2
    assert generator_loss(fake_B).item() == pytest.approx(expected, rel=1e-6)
    assert critic_loss(real_B, fake_B).item() == -4.0
    assert critic_generator_loss(fake_B).item() == 1.0


def test_the_generator_gets_gradient_where_the_discriminator_is_sure() -> None:
    score_B = torch.tensor([-20.0], requires_grad=True)
    generator_loss(score_B).backward()  # type: ignore[no-untyped-call]
    assert score_B.grad is not None
    assert score_B.grad.item() == pytest.approx(-1.0)


def test_instance_noise_falls_linearly_to_nothing() -> None:
    assert [noise_scale(0.2, step, 4) for step in range(6)] == pytest.approx([0.2, 0.15, 0.1, 0.05, 0.0, 0.0])
