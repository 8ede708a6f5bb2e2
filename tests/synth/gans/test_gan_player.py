"""One training step of dcgan and wgan-gp: what it depends on, and that every setting has an effect."""

from __future__ import annotations

import dataclasses
import hashlib
import math

import numpy as np
import pytest
import torch
from gan_rows import gan_config, gan_player, made_rows

from maskcls.errors import ConfigError
from maskcls.labels import LabelSpace
from maskcls.synth.gans.critic_network import critic_of
from maskcls.synth.gans.gan_losses import critic_loss
from maskcls.synth.gans.gan_player import GanPlayer
from maskcls.synth.gans.generator_network import generator_of
from maskcls.synth.gans.pixels import tiled, to_pixels, to_unit
from maskcls.synth.loop.optimizers import adam_betas, synth_execution

KINDS = ("dcgan", "wgan-gp")


def digest(player: GanPlayer) -> str:
    """Return a hash of all weights but the average's."""
    found = hashlib.sha256()
    for name in ("generator", "critic"):
        for tensor in player.networks[name].state_dict().values():
            found.update(tensor.numpy().tobytes())
    return found.hexdigest()


def after(*words: str, steps: int = 2, fold: int = 0) -> str:
    player = gan_player(*words, fold=fold)
    for step in range(steps):
        player.step(step)
    return digest(player)


BOTH = [
    "seed=1",
    "synth.width=5",
    "synth.latent=9",
    "synth.size=[16, 32]",
    "synth.batch_size=5",
    "synth.condition=concat",
    "synth.upsample=transposed",
    "synth.lr_generator=3e-4",
    "synth.lr_critic=3e-4",
    "synth.beta1=0.3",
    "synth.beta2=0.8",
    "synth.augment=[]",
    "synth.augment=[colour]",
    "synth.augment=[colour, translation]",
    "synth.augment=[colour, cutout]",
]
OF_DCGAN = [
    "synth.real_label=0.7",
    "synth.label_noise=0.1",
    "synth.label_flips=0.3",
    "synth.instance_noise=0.2",
    "synth.dropout=0.3",
]
OF_WGAN = ["synth.penalty=3", "synth.critic_steps=1", "synth.critic_norm=instance", "synth.critic_norm=none"]


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    return {kind: after(f"synth.kind={kind}") for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_changes_what_is_learned_and_no_two_alike(kind: str, plain: dict[str, str]) -> None:
    own = OF_DCGAN if kind == "dcgan" else OF_WGAN
    found = {word: after(f"synth.kind={kind}", word) for word in [*BOTH, *own]}
    assert len({*found.values(), plain[kind]}) == len(found) + 1, found


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_the_other_kind_change_nothing(kind: str, plain: dict[str, str]) -> None:
    for word in OF_WGAN if kind == "dcgan" else OF_DCGAN:
        assert after(f"synth.kind={kind}", word) == plain[kind], word


def test_the_two_kinds_and_two_folds_learn_different_things(plain: dict[str, str]) -> None:
    assert plain["dcgan"] != plain["wgan-gp"]
    assert after("synth.kind=dcgan", fold=1) != plain["dcgan"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_depends_on_state_and_number_alone(kind: str) -> None:
    """What torch's global generators were before, and what was asked in between, does not matter."""
    first = gan_player(f"synth.kind={kind}", "synth.dropout=0.3")
    torch.manual_seed(99)
    second = gan_player(f"synth.kind={kind}", "synth.dropout=0.3")
    for step in range(2):
        numbers = first.step(step)
        torch.rand(3)
        second.sheet()
        assert second.step(step) == numbers
    assert digest(first) == digest(second)


def test_the_photos_matter() -> None:
    rows = made_rows()
    other = gan_player(rows=dataclasses.replace(rows, images_NHWC=255 - rows.images_NHWC))
    other.step(0)
    other.step(1)
    assert digest(other) != after()


def test_numbers_of_a_step_are_finite_and_named() -> None:
    common = {"loss_generator", "loss_critic", "gap", "gradient_generator", "gradient_critic", "diversity"}
    own = {"dcgan": {"accuracy"}, "wgan-gp": {"penalty", "gradient_interpolates"}}
    for kind in KINDS:
        numbers = gan_player(f"synth.kind={kind}").step(3)
        assert numbers.keys() == common | own[kind]
        assert all(map(math.isfinite, numbers.values()))
    assert "diversity" not in gan_player("synth.steps=1000").step(0)


def test_the_critic_loss_is_less_the_gap_plus_the_penalty() -> None:
    numbers = gan_player("synth.kind=wgan-gp").step(0)
    assert numbers["loss_critic"] == pytest.approx(numbers["penalty"] - numbers["gap"], rel=1e-5)
    assert critic_loss(torch.tensor([1.0]), torch.tensor([0.0])) == -1


@pytest.mark.parametrize("kind", KINDS)
def test_the_average_makes_the_samples(kind: str) -> None:
    last = gan_player(f"synth.kind={kind}", "synth.ema=0")
    slow = gan_player(f"synth.kind={kind}", "synth.ema=0.9")
    for step in range(3):
        last.step(step)
        slow.step(step)
    for name, tensor in last.generator_network.state_dict().items():
        assert torch.equal(last.generator()[0][name], tensor)
    assert digest(last) == digest(slow)
    assert not torch.equal(slow.generator()[0]["start.0.weight"], slow.generator_network.start[0].weight)


@pytest.mark.parametrize("kind", KINDS)
def test_generator_and_critic_are_rebuilt_from_what_is_saved(kind: str) -> None:
    player = gan_player(f"synth.kind={kind}", "synth.upsample=transposed", "synth.condition=concat")
    player.step(0)
    made, judge = generator_of(*player.generator()), critic_of(*player.critic())
    facts = player.generator()[1]
    assert facts["kind"] == kind
    assert LabelSpace.from_json(facts["labels"]) == player.space
    noise_BZ, label_BT = torch.randn(3, 8), torch.tensor([[0, 0, 2], [1, 1, 0], [2, 1, 1]])
    images_BCHW = made(noise_BZ, label_BT)
    assert torch.equal(images_BCHW, player.average.module(noise_BZ, label_BT))
    assert torch.equal(judge(images_BCHW, label_BT), player.critic_network.eval()(images_BCHW, label_BT))


def test_a_sheet_has_a_row_per_joint_class_of_the_rare_rows() -> None:
    rows = made_rows()
    classes = len(np.unique(rows.label_N[rows.target_N]))
    sheet = gan_player().sheet()
    assert sheet.shape == (min(classes, 6) * 32, 8 * 16, 3)
    assert sheet.dtype == np.uint8


def test_half_of_a_batch_is_of_the_rare_classes() -> None:
    player = gan_player("synth.batch_size=7")
    rows = made_rows()
    rare = torch.from_numpy(rows.labels["age"]) == 2
    for step in range(5):
        _, label_BT = player._batch(step, 0)
        assert (label_BT[:, 2] == 2).tolist() == [True] * 4 + [False] * 3
    assert 0 < int(rare.sum()) < len(rare)


def test_bf16_computes_in_bf16_and_the_penalty_in_full(plain: dict[str, str]) -> None:
    assert after("synth.kind=wgan-gp", "device.precision=bf16") != plain["wgan-gp"]
    assert after("synth.kind=wgan-gp", "device.precision=fp32") == plain["wgan-gp"]
    player = gan_player("synth.kind=wgan-gp", "device.precision=bf16")
    assert all(p.dtype == torch.float32 for p in player.generator_network.parameters())
    seen: list[torch.dtype] = []
    player.critic_network.layers[0].register_forward_hook(lambda _, inputs, out: seen.append(out.dtype))
    player.step(0)
    assert seen == [torch.bfloat16, torch.bfloat16, torch.float32] * 2 + [torch.bfloat16]


def test_how_generators_are_computed() -> None:
    cpu = torch.device("cpu")
    assert str(synth_execution(gan_config().device, cpu)) == "fp32 contiguous"
    given = gan_config("device.precision=bf16", "device.memory_format=channels_last").device
    assert str(synth_execution(given, cpu)) == "bf16 channels_last"
    with pytest.raises(ConfigError, match="fp16"):
        synth_execution(gan_config("device.precision=fp16").device, cpu)


def test_the_parameters_of_adam_are_those_of_the_papers_unless_set() -> None:
    found = {kind: adam_betas(gan_config(f"synth.kind={kind}").synth) for kind in (*KINDS, "cyclegan")}
    assert found == {"dcgan": (0.5, 0.999), "wgan-gp": (0.0, 0.9), "cyclegan": (0.5, 0.999)}
    assert adam_betas(gan_config("synth.beta1=0.25", "synth.beta2=0.75").synth) == (0.25, 0.75)


def test_pixels_survive_the_way_to_the_unit_range_and_back() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    unit = to_unit(torch.from_numpy(images))
    assert unit.abs().max() <= 1
    np.testing.assert_array_equal(to_pixels(unit), images)
    np.testing.assert_array_equal(to_pixels(torch.full((1, 3, 1, 1), 9.0)), np.full((1, 1, 1, 3), 255))


def test_tiles_go_row_by_row_and_the_rest_is_black() -> None:
    images = np.arange(3, dtype=np.uint8)[:, None, None, None] + np.ones((3, 2, 1, 3), dtype=np.uint8)
    sheet = tiled(images, 2)
    assert sheet.shape == (4, 2, 3)
    assert sheet[:, :, 0].tolist() == [[1, 2], [1, 2], [3, 0], [3, 0]]
