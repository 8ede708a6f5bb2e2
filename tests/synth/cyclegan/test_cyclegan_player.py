"""One step of CycleGAN, its whole state, what every setting changes, and that it learns."""

import functools
import json

import numpy as np
import pytest
import torch
from cyclegan_rows import cyclegan_config, cyclegan_player, cyclegan_rows

from maskcls.engine.checkpoint import load_state, save_state
from maskcls.errors import DataError
from maskcls.synth.cyclegan.player import CycleganPlayer, build_cyclegan
from maskcls.synth.cyclegan.translate import translate
from maskcls.synth.loop.log_lines import LogLines
from maskcls.synth.loop.player import Player
from maskcls.synth.loop.training_state import player_state, restore_player

NETWORKS = ("there", "back", "target_critic", "source_critic", "there_ema", "back_ema")
STEPS = 4


def state(player: Player, step: int = 0) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in player_state(player, LogLines(), step)[0].items()}


def differing(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


def trained(*words: str, steps: int = 2) -> CycleganPlayer:
    player = cyclegan_player(*words)
    for step in range(steps):
        player.step(step)
    return player


def test_the_state_holds_networks_optimizers_and_pools() -> None:
    player = trained(steps=2)
    tensors = state(player)
    parts = {name.split("/")[0] + "/" + name.split("/")[1] for name in tensors}

    assert parts == {
        *(f"network/{name}" for name in NETWORKS),
        *("optimizer/generators", "optimizer/critics"),
        *("extra/pool_target", "extra/pool_source"),
    }
    assert tensors["extra/pool_target"].shape == (3, 3, 32, 16)
    assert tuple(player.networks) == NETWORKS


@pytest.mark.parametrize("words", [(), ("synth.network=unet", "synth.upsample=transposed", "synth.padding=zero")])
def test_a_training_that_was_stopped_at_any_step_ends_with_the_same_bits(words: tuple[str, ...], tmp_path) -> None:
    whole, saved = cyclegan_player(*words), []
    numbers = []
    for step in range(STEPS):
        save_state(tmp_path / f"{step}.safetensors", *player_state(whole, LogLines(), step))
        saved.append(state(whole))
        numbers.append(whole.step(step))
    end = state(whole)

    for start in range(STEPS):
        player = cyclegan_player(*words)
        _, step = restore_player(player, *load_state(tmp_path / f"{start}.safetensors"))
        assert step == start
        assert differing(state(player), saved[start]) == []
        for later in range(step, STEPS):
            assert player.step(later) == numbers[later]
        assert differing(state(player), end) == []
        assert np.array_equal(player.sheet(), whole.sheet())


def test_the_global_generator_of_torch_has_no_part() -> None:
    torch.manual_seed(0)
    first = state(trained())
    torch.manual_seed(1)

    assert differing(state(trained()), first) == []


@pytest.mark.parametrize("purpose", ["weights", "rows"])
def test_seed_and_fold_change_the_first_weights_and_the_rows(purpose: str) -> None:
    players = [cyclegan_player(), cyclegan_player("seed=1"), cyclegan_player(fold=1)]
    if purpose == "rows":
        drawn = [player.sheet()[:, :16].tobytes() for player in players]
    else:
        drawn = [next(player.there.parameters()).detach().numpy().tobytes() for player in players]

    assert len(set(drawn)) == 3


@pytest.mark.parametrize("words", [
    "synth.batch_size=3",
    "synth.lr_generator=0.001",
    "synth.lr_critic=0.001",
    "synth.beta1=0.9",
    "synth.beta2=0.9",
    "synth.ema=0.1",
    "synth.augment=[colour]",
    "synth.pool=1",
    "synth.cycle=5",
    "synth.identity=0.25",
    "synth.decay_share=1.0",
    "synth.from_classes={age: ['<30']}",
    "synth.padding=zero",
    "synth.upsample=transposed",
    "device.precision=bf16",
])  # fmt: skip
def test_every_setting_changes_what_is_trained(words: str) -> None:
    plain, changed = weights_after_three_steps(), weights_after_three_steps(words)

    assert any(not torch.equal(plain[name], changed[name]) for name in plain.keys() & changed.keys())


@functools.cache
def weights_after_three_steps(*words: str) -> dict[str, torch.Tensor]:
    cfg = cyclegan_config(*words)
    rows = cyclegan_rows(cfg)
    rows.labels["age"][3] = 0  # one young person's photo, so that there is something to translate from there
    player = build_cyclegan(cfg, rows, 0, torch.device("cpu"))
    for step in range(3):
        player.step(step)
    return {name: tensor for name, tensor in state(player).items() if name.startswith("network/")}


@pytest.mark.parametrize(("words", "parameters"), [
    ("synth.network=unet", None),
    ("synth.blocks=2", 2 * 9 * 16**2),  # two 3x3 convolutions of 16 channels
    ("synth.width=8", None),
])  # fmt: skip
def test_the_form_of_the_networks_is_that_of_the_settings(words: str, parameters: int | None) -> None:
    counts = [sum(tensor.numel() for tensor in cyclegan_player(*given).there.parameters()) for given in ((), (words,))]

    assert counts[0] != counts[1]
    assert parameters is None or counts[1] - counts[0] == parameters


def test_the_learning_rate_falls_as_its_formula() -> None:
    player, rates = cyclegan_player("synth.lr_critic=0.0004", "synth.decay_share=0.5"), []
    for step in range(8):
        player.step(step)
        rates.append([optimizer.param_groups[0]["lr"] for optimizer in player.optimizers.values()])

    factors = [1 - max(0, step + 1 - 4) / (4 + 1) for step in range(8)]
    assert rates == [[pytest.approx(2e-4 * factor), pytest.approx(4e-4 * factor)] for factor in factors]


def test_the_betas_are_those_of_the_paper() -> None:
    assert {optimizer.param_groups[0]["betas"] for optimizer in cyclegan_player().optimizers.values()} == {(0.5, 0.999)}


def test_the_optimizers_hold_every_parameter_once() -> None:
    player = cyclegan_player()
    for name, networks in (("generators", ("there", "back")), ("critics", ("target_critic", "source_critic"))):
        held = [id(p) for group in player.optimizers[name].param_groups for p in group["params"]]

        assert sorted(held) == sorted(id(p) for network in networks for p in player.networks[network].parameters())


@pytest.mark.parametrize("name", ["there", "back"])
def test_the_average_follows_the_generators(name: str) -> None:
    player = cyclegan_player("synth.ema=0.25")
    network, average = player.networks[name], player.networks[f"{name}_ema"]
    player.step(0)
    first = [tensor.clone() for tensor in network.parameters()]
    player.step(1)

    # after 2 steps the decay is min(0.25, 1 - 2 ** -0.75 = 0.405) = 0.25; after the first step it is 0
    for mine, old, new in zip(average.parameters(), first, network.parameters(), strict=True):
        torch.testing.assert_close(mine, 0.25 * old + 0.75 * new, rtol=1e-5, atol=1e-8)


def test_all_images_of_the_discriminators_are_changed_each_in_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, changed = list[torch.Tensor](), list[tuple[torch.Tensor, tuple[str, ...]]]()

    def change(images: torch.Tensor, uniform: torch.Tensor, parts: tuple[str, ...]) -> torch.Tensor:
        changed.append((uniform, parts))
        return images + 1000

    monkeypatch.setattr("maskcls.synth.cyclegan.player.diff_augment", change)
    player = cyclegan_player("synth.augment=[cutout]")
    for name in ("target_critic", "source_critic"):
        player.networks[name].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    player.step(0)
    player.step(1)

    assert len(changed) == len(seen) == 12  # per step and domain: of the generator, real, and from the pool
    assert all(float(images.min()) >= 999 for images in seen)
    assert len({uniform.numpy().tobytes() for uniform, _ in changed}) == 12
    assert {parts for _, parts in changed} == {("cutout",)}


def test_the_discriminators_get_the_right_photos_and_pooled_images(monkeypatch: pytest.MonkeyPatch) -> None:
    player = cyclegan_player("synth.augment=[]", "synth.batch_size=3")
    seen = dict[str, list[torch.Tensor]](target_critic=[], source_critic=[])
    for name, found in seen.items():
        player.networks[name].register_forward_pre_hook(lambda _, inputs, found=found: found.append(inputs[0].detach()))
    player.step(0)

    for name, channel in (("target_critic", 2), ("source_critic", 0)):  # old people are blue, the others red
        made, real, pooled = seen[name]
        assert torch.equal(made, pooled)  # the pool has room for all three
        others = [other for other in range(3) if other != channel]
        assert float(real[:, channel].mean()) > max(float(real[:, other].mean()) for other in others) + 0.5
    assert torch.equal(player.pools["target"].images_PCHW, seen["target_critic"][0])
    assert torch.equal(player.pools["source"].images_PCHW, seen["source_critic"][0])


def test_a_step_of_the_generators_leaves_the_discriminators_without_gradients() -> None:
    player = cyclegan_player("synth.lr_critic=1e-12")
    before = {name: tensor.clone() for name, tensor in player.critics.state_dict().items()}
    player.step(0)

    assert all(p.grad is not None and p.requires_grad for p in player.critics.parameters())
    for name, tensor in player.critics.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=1e-11)


def test_the_numbers_of_a_step_have_their_names_and_ranges() -> None:
    numbers = cyclegan_player().step(0)

    assert set(numbers) == {
        *("loss_adversarial", "loss_cycle", "loss_identity", "loss_generator", "loss_critic"),
        *("gradient_generator", "gradient_critic", "diversity"),
        *("accuracy_target", "accuracy_source", "gap_target", "gap_source"),
    }
    assert numbers["loss_generator"] == pytest.approx(
        numbers["loss_adversarial"] + numbers["loss_cycle"] + numbers["loss_identity"], rel=1e-6
    )
    assert all(0 <= numbers[f"accuracy_{name}"] <= 1 for name in ("target", "source"))


def test_a_sheet_has_six_images_for_each_pair_and_is_the_same_each_time() -> None:
    player = cyclegan_player()
    sheet = player.sheet()

    assert sheet.shape == (8 * 32, 6 * 16, 3)
    assert sheet.dtype == np.uint8
    assert np.array_equal(sheet, player.sheet())
    source, target = sheet[:, :16], sheet[:, 48:64]
    assert source[..., 0].mean() > 100 > source[..., 2].mean()  # the source is red, the target blue
    assert target[..., 2].mean() > 100 > target[..., 0].mean()


def test_facts_are_json_and_rebuild_the_generator() -> None:
    player = trained()
    tensors, facts = player.generator()
    images_NHWC = player.images_NHWC.numpy()[:3]
    made = translate(tensors, json.loads(json.dumps(facts)), images_NHWC, torch.device("cpu"))
    with torch.no_grad():
        expected = player.networks["there_ema"](torch.tensor(images_NHWC).permute(0, 3, 1, 2) / 127.5 - 1)

    assert facts["kind"] == "cyclegan"
    assert np.array_equal(made, ((expected + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).byte().numpy())
    assert {name.split(".")[0] for name in tensors} == {"there", "back"}
    critics, about = player.critic()
    assert {name.split(".")[0] for name in critics} == {"target", "source"}
    assert json.loads(json.dumps(about))["shape"]["width"] == 4


def test_nothing_to_translate_is_refused() -> None:
    cfg = cyclegan_config("synth.from_classes={age: ['<30']}")
    with pytest.raises(DataError, match="no labels of the other tasks occur in both"):
        build_cyclegan(cfg, cyclegan_rows(cfg), 0, torch.device("cpu"))


def test_it_learns_to_turn_red_into_blue() -> None:
    words = ("synth.steps=40", "synth.batch_size=4", "synth.width=8", "synth.lr_generator=0.002", "synth.ema=0.9")
    player = trained(*words, "synth.augment=[]", steps=40)
    rows = cyclegan_rows(cyclegan_config(*words))
    source_N, target_N = rows.labels["age"] == 1, rows.target_N
    made = translate(*player.generator(), rows.images_NHWC[source_N], torch.device("cpu"))

    blue, red = made[..., 2].astype(int), made[..., 0].astype(int)
    wanted = rows.images_NHWC[target_N]
    assert abs(blue.mean() - wanted[..., 2].mean()) < 30
    assert abs(red.mean() - wanted[..., 0].mean()) < 30
