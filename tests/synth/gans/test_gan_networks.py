"""Shapes, labels and first weights of the networks of dcgan and wgan-gp."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from maskcls.synth.gans.critic_network import Critic, CriticNorm, CriticPlan, critic_of
from maskcls.synth.gans.generator_network import Generator, GeneratorPlan, generator_of
from maskcls.synth.gans.layers import doubling, first_size, transposed_side, with_label_channels

SIZES = [(16, 16), (64, 48), (32, 64), (128, 96)]
PLAN = GeneratorPlan((32, 16), 8, 4, "resize", (3, 2))
JUDGE = CriticPlan((32, 16), 4, "layer", 0.0, "projection", (3, 2))


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(4, 2, 1), (3, 1, 0), (5, 3, 2), (2, 2, 0)])
@pytest.mark.parametrize("side", [1, 4, 7])
def test_transposed_convolutions_have_the_side_of_the_formula(
    side: int, kernel: int, stride: int, padding: int
) -> None:
    expected = transposed_side(side, kernel=kernel, stride=stride, padding=padding)
    if expected < 1:
        return
    layer = nn.ConvTranspose2d(1, 1, kernel, stride=stride, padding=padding)
    assert layer(torch.zeros(1, 1, side, side)).shape == (1, 1, expected, expected)


@pytest.mark.parametrize("how", ["transposed", "resize"])
def test_a_doubling_doubles(how: str) -> None:
    made = doubling(3, 5, how)(torch.zeros(2, 3, 4, 3))  # type: ignore[arg-type]
    assert made.shape == (2, 5, 8, 6)
    if how == "transposed":
        assert [transposed_side(side, kernel=4, stride=2, padding=1) for side in (4, 3)] == [8, 6]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["transposed", "resize"])
def test_images_have_the_size_asked_for_and_lie_in_the_unit_range(size: tuple[int, int], how: str) -> None:
    plan = dataclasses.replace(PLAN, size=size, upsample=how)  # type: ignore[arg-type]
    made = Generator(plan)(torch.randn(2, 8), torch.tensor([[0, 1], [2, 0]]))
    assert made.shape == (2, 3, *size)
    assert made.abs().max() <= 1
    assert first_size(size) == (size[0] // 16, size[1] // 16)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "none"])
@pytest.mark.parametrize("condition", ["projection", "concat"])
def test_scores_are_one_per_image_and_depend_on_the_labels(
    size: tuple[int, int], norm: CriticNorm, condition: str
) -> None:
    plan = dataclasses.replace(JUDGE, size=size, norm=norm, condition=condition)  # type: ignore[arg-type]
    torch.manual_seed(0)
    judge = Critic(plan).eval()  # in training, batch norm makes equal images 0
    images_BCHW = torch.randn(1, 3, *size).expand(4, -1, -1, -1)
    score_B = judge(images_BCHW, torch.tensor([[0, 0], [1, 0], [0, 1], [0, 0]])).detach().double()
    assert score_B.shape == (4,)
    assert score_B[0] == pytest.approx(score_B[3].item(), abs=1e-6)
    assert torch.pdist(score_B[:3, None]).min() > 1e-3 * score_B.abs().max()


@pytest.mark.parametrize("norm", ["layer", "instance", "none"])
def test_a_critic_scores_every_image_alone(norm: CriticNorm) -> None:
    torch.manual_seed(0)
    judge = Critic(dataclasses.replace(JUDGE, norm=norm)).double()
    assert not any(isinstance(module, nn.BatchNorm2d | nn.Sigmoid) for module in judge.modules())
    images_BCHW, label_BT = torch.randn(3, 3, 32, 16).double(), torch.tensor([[0, 1], [2, 0], [1, 1]])
    together = judge(images_BCHW, label_BT)
    alone = [judge(images_BCHW[i : i + 1], label_BT[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-10, atol=1e-12)


def test_instance_norm_is_that_of_torch() -> None:
    judge = Critic(dataclasses.replace(JUDGE, norm="instance"))
    norm = next(module for module in judge.modules() if isinstance(module, nn.GroupNorm))
    given = torch.randn(2, norm.num_channels, 4, 4)
    nn.init.ones_(norm.weight)
    torch.testing.assert_close(norm(given), nn.InstanceNorm2d(norm.num_channels)(given))


def test_projection_is_the_inner_product_with_the_summed_features() -> None:
    judge = Critic(JUDGE).double()
    images_BCHW, label_BT = torch.randn(2, 3, 32, 16).double(), torch.tensor([[2, 1], [0, 0]])
    features_BCHW = judge.layers(images_BCHW)
    assert judge.labels is not None
    tables = [table.weight for table in judge.labels.tables]
    expected = []
    for b, (first, second) in enumerate(label_BT.tolist()):
        pooled_C = features_BCHW[b].sum(dim=(1, 2))
        plain = judge.score(features_BCHW[b].flatten())
        expected.append(plain[0] + pooled_C @ tables[0][first] + pooled_C @ tables[1][second])
    torch.testing.assert_close(judge(images_BCHW, label_BT), torch.stack(expected), rtol=1e-10, atol=1e-12)


def test_label_channels_are_one_for_the_class_of_each_task() -> None:
    images_BCHW = torch.zeros(2, 3, 2, 2)
    made = with_label_channels(images_BCHW, torch.tensor([[2, 0], [1, 1]]), (3, 2))
    assert made[:, 3:, 1, 0].tolist() == [[0, 0, 1, 1, 0], [0, 1, 0, 0, 1]]
    assert (made[:, 3:] == made[:, 3:, :1, :1]).all()


def test_the_dropout_of_a_discriminator_acts_in_training_only() -> None:
    judge = Critic(dataclasses.replace(JUDGE, norm="none", dropout=0.5))
    images_BCHW, label_BT = torch.randn(2, 3, 32, 16), torch.zeros(2, 2, dtype=torch.int64)
    assert not torch.equal(judge(images_BCHW, label_BT), judge(images_BCHW, label_BT))
    judge.eval()
    assert torch.equal(judge(images_BCHW, label_BT), judge(images_BCHW, label_BT))


def test_the_first_weights_are_those_of_dcgan() -> None:
    torch.manual_seed(0)
    made = Generator(dataclasses.replace(PLAN, width=32))
    convolutions = [module for module in made.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    norms = [module for module in made.modules() if isinstance(module, nn.BatchNorm2d)]
    assert (len(convolutions), len(norms)) == (5, 4)
    for module in convolutions:
        assert module.weight.std().item() == pytest.approx(0.02, rel=0.15)  # 864 weights and more
        assert module.weight.mean().item() == pytest.approx(0.0, abs=0.003)
        assert module.bias is not None
        assert not module.bias.any()
    for norm in norms:
        assert norm.weight.mean().item() == pytest.approx(1.0, abs=0.02)
        assert 0.005 < norm.weight.std().item() < 0.04


def test_labels_change_the_first_images_like_random_inputs_do() -> None:
    torch.manual_seed(0)
    made = Generator(dataclasses.replace(PLAN, width=16, latent=128))
    noise_BZ = torch.randn(1, 128).expand(16, -1)
    label_BT = torch.stack([torch.arange(16) % 3, torch.arange(16) % 2], dim=1)
    by_label = made(noise_BZ, label_BT).std(dim=0).mean()
    by_noise = made(torch.randn(16, 128), label_BT[:1].expand(16, -1)).std(dim=0).mean()
    fixed = made(noise_BZ, label_BT[:1].expand(16, -1)).std(dim=0).mean()
    assert fixed < 1e-3 * by_noise
    assert made.labels.tables[0].weight.std() > 0.5
    assert by_label > 0.2 * by_noise


def test_networks_are_rebuilt_from_weights_and_facts() -> None:
    made, judge = Generator(PLAN).eval(), Critic(JUDGE).eval()
    noise_BZ, label_BT = torch.randn(2, 8), torch.tensor([[0, 1], [2, 0]])
    again = generator_of(made.state_dict(), {"plan": PLAN.to_json()})
    assert torch.equal(again(noise_BZ, label_BT), made(noise_BZ, label_BT))
    images_BCHW = torch.randn(2, 3, 32, 16)
    other = critic_of(judge.state_dict(), {"plan": JUDGE.to_json()})
    assert torch.equal(other(images_BCHW, label_BT), judge(images_BCHW, label_BT))
    assert not again.training
    assert not other.training
