"""AdamW against torch's own, timm's optimizers against timm's own groups, and what each keeps when it is saved."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from photos import small_network, wake
from timm.optim import create_optimizer_v2, get_optimizer_class, get_optimizer_info, list_optimizers
from timm.optim._param_groups import param_groups_layer_decay
from timm.optim.lookahead import Lookahead
from torch import Tensor, nn

from maskcls.backbone import Backbone
from maskcls.engine import session as keeping
from maskcls.engine.checkpoint import load_state, save_state
from maskcls.errors import ConfigError, WeightsError
from maskcls.nn.heads import Head
from maskcls.nn.network import Network, build_network
from maskcls.nn.optim import build_optimizer, optimizer_names, parameter_groups, set_lr


def deep_network(backbone: str) -> Network:
    """Return a network whose trunk has layers timm knows."""
    torch.manual_seed(0)
    size = {"img_size": 32} if "vit" in backbone else {}
    trunk = timm.create_model(backbone, num_classes=0, **size)
    return wake(Network(trunk, trunk.num_features, {"a": 3}))


def names_of(network: Network, parameters: list[nn.Parameter]) -> list[str]:
    by_identity = {id(p): name for name, p in network.named_parameters()}
    return [by_identity[id(p)] for p in parameters]


# --- AdamW


def test_every_parameter_is_in_one_group_and_only_matrices_decay() -> None:
    tables = ("trunk.pos_embed", "trunk.cls_token")
    network = Network(timm.create_model("test_vit", num_classes=0), 64, {"a": 3})
    optimizer = build_optimizer(network, lr=0.1, weight_decay=0.05, betas=(0.9, 0.99))
    grouped = [name for group in optimizer.param_groups for name in names_of(network, group["params"])]
    assert sorted(grouped) == sorted(name for name, _ in network.named_parameters())
    decays = {n: g["weight_decay"] for g in optimizer.param_groups for n in names_of(network, g["params"])}
    for name, parameter in network.named_parameters():
        assert decays[name] == (0.05 if parameter.ndim > 1 and name not in tables else 0.0), name
    kinds = {
        "heads.a.weight": 0.05,
        "heads.a.bias": 0.0,
        "trunk.norm.weight": 0.0,
        "trunk.blocks.0.mlp.fc1.weight": 0.05,
    }
    assert {name: decays[name] for name in kinds} == kinds


def test_frozen_parameters_are_left_out() -> None:
    network = small_network({"a": 2})
    network.trunk.requires_grad_(False)
    optimizer = build_optimizer(network, lr=0.1, weight_decay=0.05, betas=(0.9, 0.99))
    grouped = [name for group in optimizer.param_groups for name in names_of(network, group["params"])]
    assert sorted(grouped) == ["heads.a.bias", "heads.a.weight"]


def reference_adamw(
    start: np.ndarray, grads: list[np.ndarray], lrs: list[float], *, decay: float, betas: tuple[float, float]
) -> np.ndarray:
    """Decoupled weight decay as the paper writes it, in float64; epsilon is torch's 1e-8."""
    value, first, second = start.astype(np.float64), 0.0, 0.0
    for t, (grad, lr) in enumerate(zip(grads, lrs, strict=True), 1):
        first = betas[0] * first + (1 - betas[0]) * grad
        second = betas[1] * second + (1 - betas[1]) * grad**2
        value = value * (1 - lr * decay)
        value = value - lr * (first / (1 - betas[0] ** t)) / (np.sqrt(second / (1 - betas[1] ** t)) + 1e-8)
    return value


@pytest.mark.parametrize("head_lr_scale", [1.0, 10.0])
def test_steps_equal_adamw_written_out(head_lr_scale: float) -> None:
    network = small_network({"a": 3})
    start = {name: p.detach().clone() for name, p in network.named_parameters()}
    rng = np.random.default_rng(0)
    grads = {n: [rng.normal(size=p.shape).astype(np.float32) for _ in range(3)] for n, p in start.items()}
    lrs, betas = [0.01, 0.02, 0.005], (0.8, 0.95)
    optimizer = build_optimizer(network, lr=1.0, weight_decay=0.3, betas=betas, head_lr_scale=head_lr_scale)
    for t, lr in enumerate(lrs):
        set_lr(optimizer, lr)
        for name, p in network.named_parameters():
            p.grad = torch.from_numpy(grads[name][t])
        optimizer.step()
    for name, p in network.named_parameters():
        scale = head_lr_scale if name.startswith("heads.") else 1.0
        decay = 0.3 if p.ndim > 1 else 0.0
        want = reference_adamw(start[name].numpy(), grads[name], [lr * scale for lr in lrs], decay=decay, betas=betas)
        # float32 against float64 over three steps of about 0.01
        np.testing.assert_allclose(p.detach().numpy(), want, atol=2e-6, err_msg=name)


def test_steps_equal_torchs_optimizer_on_plain_parameters() -> None:
    network, twin = small_network({"a": 3}), small_network({"a": 3})
    ours = build_optimizer(network, lr=0.01, weight_decay=0.3, betas=(0.8, 0.95))
    matrices = [p for p in twin.parameters() if p.ndim > 1]
    vectors = [p for p in twin.parameters() if p.ndim <= 1]
    theirs = [
        torch.optim.AdamW(matrices, lr=0.01, weight_decay=0.3, betas=(0.8, 0.95)),
        torch.optim.AdamW(vectors, lr=0.01, weight_decay=0.0, betas=(0.8, 0.95)),
    ]
    draws = torch.Generator().manual_seed(0)
    for _ in range(3):
        # Gradients are drawn: a network's own hold some that are zero but for rounding, and Adam divides by their size.
        for p, q in zip(network.parameters(), twin.parameters(), strict=True):
            p.grad = torch.randn(p.shape, generator=draws)
            q.grad = p.grad.clone()
        for optimizer in (ours, *theirs):
            optimizer.step()
    for (name, p), q in zip(network.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, msg=name)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_fused_step_equals_the_plain_one(memory_format: torch.memory_format) -> None:
    """The gradients are those of a network: fused reads them by address, so their memory format must be right."""
    torch.manual_seed(0)
    network = Network(timm.create_model("test_resnet", num_classes=0), 96, {"a": 3}).to(memory_format=memory_format)
    for head in network.heads.parameters():
        nn.init.normal_(head)
    twin = copy.deepcopy(network)
    optimizer = build_optimizer(network, lr=1e-3, weight_decay=0.3, betas=(0.8, 0.95), head_lr_scale=3.0)
    same = build_optimizer(twin, lr=1e-3, weight_decay=0.3, betas=(0.8, 0.95), head_lr_scale=3.0).param_groups
    plain = torch.optim.AdamW([{**group, "fused": False, "foreach": False} for group in same])
    assert [[g["fused"] for g in o.param_groups] for o in (optimizer, plain)] == [[True] * 4, [False] * 4]
    for step in range(12):
        set_lr(optimizer, 1e-3 * (step + 1))
        set_lr(plain, 1e-3 * (step + 1))
        optimizer.zero_grad()
        for _ in range(2):
            network(torch.randn(4, 3, 32, 32))["a"].square().mean().backward()
        for p, q in zip(network.parameters(), twin.parameters(), strict=True):
            q.grad = p.grad.contiguous(memory_format=memory_format) if p.ndim == 4 else p.grad.clone()
        optimizer.step()
        plain.step()
    kernels = [p for p in network.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert len(kernels) > 5
    assert all(p.is_contiguous(memory_format=memory_format) for p in kernels)
    for (name, p), q in zip(network.named_parameters(), twin.parameters(), strict=True):
        # float32 rounding of weights below 4 over 12 steps, each of which moves a weight by up to 0.04
        torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-6, msg=name)


def test_only_what_torch_can_fuse_is_fused() -> None:
    for dtype, device, fused in (("float32", "cpu", True), ("float64", "cpu", None), ("float32", "meta", None)):
        network = small_network({"a": 2}).to(device=device, dtype=getattr(torch, dtype))
        optimizer = build_optimizer(network, lr=0.1, weight_decay=0.1, betas=(0.9, 0.99))
        assert optimizer.defaults["fused"] is fused


# --- groups


def test_the_optimizer_trains_what_stands_beside_trunk_and_heads() -> None:
    """A variance a head, which weighs its loss, is the network's own; it learns at the heads' rate."""
    network = Network(timm.create_model("test_resnet", num_classes=0), 96, {"a": 2, "b": 3}, balanced=True)
    groups = parameter_groups(network, weight_decay=0.1, head_lr_scale=7.0)
    (group,) = [g for g in groups if "log_variance" in names_of(network, g["params"])]
    assert (group["lr_scale"], group["weight_decay"]) == (7.0, 0.0)


@pytest.mark.parametrize("backbone", ["test_vit", "test_resnet", "test_efficientnet"])
def test_layer_decay_equals_timms(backbone: str) -> None:
    network = deep_network(backbone)
    trunk: Any = network.trunk
    spared = sorted(trunk.no_weight_decay()) if hasattr(trunk, "no_weight_decay") else []
    want = {
        id(p): (group["lr_scale"], group["weight_decay"])
        for group in param_groups_layer_decay(trunk, 0.05, no_weight_decay_list=spared, layer_decay=0.6)
        for p in group["params"]
    }
    groups = parameter_groups(network, weight_decay=0.05, head_lr_scale=3.0, layer_decay=0.6, spared=spared)
    found = {id(p): (group["lr_scale"], group["weight_decay"]) for group in groups for p in group["params"]}
    for head in network.heads.parameters():
        assert found.pop(id(head)) == (3.0, 0.05 if head.ndim > 1 else 0.0)
    assert found.keys() == want.keys()
    for key, (scale, decay) in found.items():
        assert scale == pytest.approx(want[key][0], rel=1e-12)
        assert decay == want[key][1]
    assert len({scale for scale, _ in found.values()}) > 2
    # the first group's rate is the one that is logged
    assert groups[0]["lr_scale"] == 1.0
    # one group for each pair of scale and decay
    assert len({(g["lr_scale"], g["weight_decay"]) for g in groups}) == len(groups)


def test_layer_decay_by_hand() -> None:
    """A small transformer: the embedding, six blocks, and the last norm, which belongs to the last block."""
    network = deep_network("test_vit")
    groups = parameter_groups(network, weight_decay=0.05, layer_decay=0.5)
    scale = {name: g["lr_scale"] for g in groups for name in names_of(network, g["params"])}
    assert len(network.trunk.blocks) == 6
    want = {"pos_embed": 1 / 64, "patch_embed.proj.weight": 1 / 64, "norm.weight": 1.0}
    want |= {f"blocks.{i}.mlp.fc1.weight": 0.5 ** (5 - i) for i in range(6)}
    assert {name: scale[f"trunk.{name}"] for name in want} == want


def test_set_lr_applies_every_scale() -> None:
    optimizer = build_optimizer(deep_network("test_vit"), lr=0.1, weight_decay=0.0, layer_decay=0.5, head_lr_scale=10.0)
    scales = {10.0, *(0.5**depth for depth in range(7))}
    assert {g["lr"] for g in optimizer.param_groups} == {0.1 * scale for scale in scales}
    set_lr(optimizer, 0.2)
    assert all(g["lr"] == 0.2 * g["lr_scale"] for g in optimizer.param_groups)


def test_weight_decay_spares_what_the_trunk_names() -> None:
    for name in ("adamw", "sgd", "lookahead_sgd"):
        network = deep_network("test_vit")
        groups = build_optimizer(network, name=name, lr=0.1, weight_decay=0.05).param_groups
        decays = {n: g["weight_decay"] for g in groups for n in names_of(network, g["params"])}
        assert decays["trunk.blocks.0.mlp.fc1.weight"] == decays["heads.a.weight"] == 0.05
        assert decays["trunk.norm.weight"] == decays["heads.a.bias"] == 0.0
        assert decays["trunk.pos_embed"] == decays["trunk.cls_token"] == 0.0
    groups = parameter_groups(network, weight_decay=0.05, spared=["blocks.*.mlp.*"])
    spared = {n: g["weight_decay"] for g in groups for n in names_of(network, g["params"])}
    assert spared["trunk.blocks.0.mlp.fc1.weight"] == 0.0
    assert spared["trunk.blocks.0.attn.proj.weight"] == 0.05


VIT = {"depth": 2, "embed_dim": 48, "num_heads": 3, "img_size": 32}
SWIN = {"depths": (1, 1, 1, 1), "embed_dim": 24, "num_heads": (1, 1, 2, 2), "img_size": 64, "window_size": 2}
TABLES = "relative_position_bias_table"
# timm's names with settings that make them small, and matrices and tables that its authors do not decay.
FAMILIES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "vit_tiny_patch16_224": (VIT, {"cls_token", "pos_embed"}),
    "deit_tiny_distilled_patch16_224": (VIT, {"cls_token", "pos_embed", "dist_token"}),
    "swin_tiny_patch4_window7_224": (SWIN, {f"layers.{i}.blocks.0.attn.{TABLES}" for i in range(4)}),
    "beit_base_patch16_224": (VIT, {"cls_token", *(f"blocks.{i}.attn.{TABLES}" for i in range(2))}),
    "eva02_tiny_patch14_224": (VIT | {"img_size": 28}, {"cls_token", "pos_embed"}),
    "convnext_atto": ({"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16)}, set()),
    "mobilenetv4_conv_small_050": ({}, set()),
}


@pytest.mark.parametrize("layer_decay", [None, 0.6])
@pytest.mark.parametrize("backbone", FAMILIES)
def test_adamw_decays_what_timm_decays(backbone: str, layer_decay: float | None) -> None:
    settings, tables = FAMILIES[backbone]
    trunk: Any = timm.create_model(backbone, num_classes=0, **settings)
    names = {id(p): name for name, p in trunk.named_parameters()}

    def decay_and_scale(optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float]]:
        groups = [(p, group) for group in optimizer.param_groups for p in group["params"] if id(p) in names]
        return {names[id(p)]: (g["weight_decay"], pytest.approx(g.get("lr_scale", 1.0), rel=1e-12)) for p, g in groups}

    timms = create_optimizer_v2(trunk, "adamw", lr=0.1, weight_decay=0.05, layer_decay=layer_decay)
    network = Network(trunk, 8, {"a": 3})
    ours = build_optimizer(network, lr=0.1, weight_decay=0.05, layer_decay=layer_decay or 1.0)
    found = decay_and_scale(ours)
    assert found == decay_and_scale(timms)
    assert found.keys() == set(names.values())
    assert {n for n, p in trunk.named_parameters() if p.ndim > 1 and not found[n][0]} == tables


def test_frozen_layers_stand_still() -> None:
    network = deep_network("test_vit")
    optimizer = build_optimizer(network, lr=0.1, weight_decay=0.05, freeze=3)
    still = {name for name, p in network.named_parameters() if not p.requires_grad}
    under = ("trunk.cls_token", "trunk.pos_embed", "trunk.patch_embed.", "trunk.blocks.0.", "trunk.blocks.1.")
    assert still == {name for name, _ in network.named_parameters() if name.startswith(under)}
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    network(torch.randn(2, 3, 32, 32))["a"].square().sum().backward()
    optimizer.step()
    assert {name for name, p in network.named_parameters() if torch.equal(p, before[name])} == still


def test_as_many_layers_as_there_are_can_be_frozen() -> None:
    network = deep_network("test_vit")
    optimizer = build_optimizer(network, lr=0.1, weight_decay=0.05, freeze=7)
    trained = [name for g in optimizer.param_groups for name in names_of(network, g["params"])]
    assert sorted(trained) == ["heads.a.bias", "heads.a.weight"]
    with pytest.raises(ConfigError, match="fewer layers") as caught:
        build_optimizer(deep_network("test_vit"), lr=0.1, weight_decay=0.05, freeze=8)
    assert "at most 7" in str(caught.value)


@pytest.mark.parametrize("setting", [{"layer_decay": 0.5}, {"freeze": 1}])
def test_a_trunk_of_unknown_layers_is_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="does not know the layers") as caught:
        build_optimizer(small_network({"a": 2}), lr=0.1, weight_decay=0.05, **setting)
    assert (
        caught.value.where == {"layer_decay": "optim.layer_decay", "freeze": "optim.freeze_layers"}[next(iter(setting))]
    )


def test_thresholds_of_an_ordinal_head_do_not_decay() -> None:
    """A bias is one by its name: the thresholds of a group of outputs stand in a row."""
    network = build_network(Backbone("test_convnext"), {"age": Head("age", 3, "ordinal", bins=(30, 60))}, size=(32, 32))
    bias = dict(network.named_parameters())["heads.age.bias"]
    assert bias.ndim == 2
    decays = {
        n: g["weight_decay"]
        for g in parameter_groups(network, weight_decay=0.05)
        for n in names_of(network, g["params"])
    }
    assert (decays["heads.age.bias"], decays["heads.age.weight"]) == (0.0, 0.05)


# --- by name

NAMES = optimizer_names()
OF_TIMM: list[Any] = list_optimizers()
WRAPPED = ["lookahead_adamw", "lookahead_sgd", "lookahead_lamb"]


def two_convs() -> Network:
    """A network on which every optimizer shows what it has: shapes to factor, channels last, vectors and matrices."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 24, 3), nn.Conv2d(24, 32, 3)
    trunk = nn.Sequential(first, nn.BatchNorm2d(24), nn.ReLU(), second, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return wake(Network(trunk, 32, {"a": 20})).to(memory_format=torch.channels_last)


def step(network: Network, optimizer: torch.optim.Optimizer, number: int) -> None:
    """Make one step on images that depend on its number alone."""
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad()
    network(images.to(memory_format=torch.channels_last))["a"].square().mean().backward()
    set_lr(optimizer, 1e-3 * (number + 1))
    optimizer.step()


def follow(twin: Network, network: Network) -> None:
    """Give the twin the network's gradients: two backward passes need not agree in the last bit on every processor."""
    for p, q in zip(network.parameters(), twin.parameters(), strict=True):
        q.grad = None if p.grad is None else p.grad.clone()


def after(steps: int, **settings: Any) -> list[Tensor]:
    """Return the parameters after some steps with these settings."""
    network = two_convs()
    optimizer = build_optimizer(network, **{"lr": 1e-3, "weight_decay": 0.1} | settings)
    for number in range(steps):
        step(network, optimizer, number)
    return [p.detach() for p in network.parameters()]


# One name for each of timm's classes: what differs between names of a class is a switch.
KINDS = list({get_optimizer_info(name).opt_class: name for name in NAMES}.values())


def same(found: list[Tensor], want: list[Tensor]) -> bool:
    return all(torch.equal(p, q) for p, q in zip(found, want, strict=True))


def test_what_is_left_out_of_timms_list() -> None:
    left = {name for name in OF_TIMM if name not in NAMES}
    assert len(NAMES) >= 80
    assert len(KINDS) >= 25
    assert {name for name in left if not name.startswith(("fused", "bnb"))} == {"adahessian", "kron", "kronc", "kronw"}
    assert {"adamw", "sgd", "radam", "nadam", "lion", "madgrad", "adamp", "lamb", "muon"} <= set(NAMES)


@pytest.mark.parametrize("name", [*NAMES, *WRAPPED])
def test_a_saved_optimizer_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    """Through the file and back: tensors in their memory format, numbers of parameters, and counts of groups."""
    settings: dict[str, Any] = {"name": name, "lr": 1e-3, "weight_decay": 0.1, "head_lr_scale": 2.0}
    network = two_convs()
    optimizer = build_optimizer(network, **settings)
    before = 7 if name in WRAPPED else 2  # lookahead looks back at its sixth step, and its twelfth
    for number in range(before):
        step(network, optimizer, number)
    tensors, numbers = keeping.optimizer_moments(optimizer)
    save_state(tmp_path / "state", tensors, numbers)
    other = two_convs()
    other.load_state_dict(network.state_dict())
    resumed = build_optimizer(other, **settings)
    keeping.restore_moments(resumed, *load_state(tmp_path / "state"))
    for number in range(before, 13 if name in WRAPPED else 4):
        step(network, optimizer, number)
        follow(other, network)
        set_lr(resumed, 1e-3 * (number + 1))
        resumed.step()
    assert same(list(other.parameters()), list(network.parameters()))
    assert all(torch.isfinite(p).all() for p in network.parameters())
    found, counted = keeping.optimizer_moments(resumed)
    want, counts = keeping.optimizer_moments(optimizer)
    assert counted == counts
    assert found.keys() == want.keys()
    for key, value in want.items():
        assert (found[key].dtype, found[key].stride()) == (value.dtype, value.stride()), key
        assert torch.equal(found[key], value), key


@pytest.mark.parametrize("name", KINDS)
def test_every_setting_counts(name: str) -> None:
    # rectified optimizers look at variances from the sixth step on
    steps = 7 if name in ("radam", "radamw", "radamlegacy", "radabelief") else 3
    info = get_optimizer_info(name)
    plain = after(3, name=name)
    for setting in ({"weight_decay": 0.3}, {"head_lr_scale": 2.0}):
        assert not same(after(3, name=name, **setting), plain), setting
    if info.has_momentum:
        assert not same(after(3, name=name, momentum=0.5), after(3, name=name, momentum=0.6))
    if info.has_betas:
        betas = (0.8, 0.9, 0.95)[: 1 if "adafactor" in name else info.num_betas]
        base = after(steps, name=name, betas=betas)
        for place in range(len(betas)):
            other = [beta + 0.03 * (index == place) for index, beta in enumerate(betas)]
            assert not same(after(steps, name=name, betas=other), base), place


@pytest.mark.parametrize("name", NAMES)
def test_what_an_optimizer_does_not_take_is_refused(name: str) -> None:
    takes = inspect.signature(get_optimizer_class(name, bind_defaults=False)).parameters
    for setting, value in {"momentum": 0.8, "betas": (0.8, 0.9, 0.95, 0.99)}.items():
        for full in (name, f"lookahead_{name}"):
            if setting == "momentum" and setting in takes:
                build_optimizer(two_convs(), name=full, lr=0.1, weight_decay=0.0, momentum=0.8)
                continue
            wrong = "takes [1-3] beta" if setting in takes else f"has no {setting}"
            with pytest.raises(ConfigError, match=wrong) as caught:
                build_optimizer(two_convs(), name=full, lr=0.1, weight_decay=0.0, **{setting: value})
            assert caught.value.where == f"optim.{setting}"


def test_adamw_is_torchs_to_the_bit() -> None:
    network, twin = deep_network("test_resnet"), deep_network("test_resnet")
    ours = build_optimizer(network, lr=1e-3, weight_decay=0.3, betas=(0.8, 0.95), head_lr_scale=4.0)
    matrices, vectors = ([p for p in twin.trunk.parameters() if (p.ndim > 1) == many] for many in (True, False))
    heads = list(twin.heads.parameters())
    groups = [
        {"params": matrices, "weight_decay": 0.3, "lr": 1e-3},
        {"params": vectors, "weight_decay": 0.0, "lr": 1e-3},
        {"params": heads[:1], "weight_decay": 0.3, "lr": 4e-3},
        {"params": heads[1:], "weight_decay": 0.0, "lr": 4e-3},
    ]
    theirs = torch.optim.AdamW(groups, lr=1e-3, betas=(0.8, 0.95), fused=True)
    assert isinstance(ours, torch.optim.AdamW)
    # a saved moment is found by its parameter's place
    places = [[p.shape for g in o.param_groups for p in g["params"]] for o in (ours, theirs)]
    assert places[0] == places[1]
    for number in range(3):
        images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(number))
        ours.zero_grad()
        network(images)["a"].square().mean().backward()
        follow(twin, network)
        ours.step()
        theirs.step()
    assert same(list(network.parameters()), list(twin.parameters()))


@pytest.mark.parametrize("name", ["sgd", "radam", "lion", "lookahead_madgrad", "adamc", "lionc"])
def test_a_groups_rate_is_that_of_an_optimizer_of_its_own(name: str) -> None:
    """Some decay weights by the rate's share of its highest, which is each group's own."""
    network, twin = two_convs(), two_convs()
    ours = build_optimizer(network, name=name, lr=1e-3, weight_decay=0.3, head_lr_scale=4.0)
    theirs = []
    for part, lr in ((twin.trunk, 1e-3), (twin.heads, 4e-3)):
        for many in (True, False):
            parameters = [p for p in part.parameters() if (p.ndim > 1) == many]
            theirs.append(create_optimizer_v2([{"params": parameters}], name, lr=lr, weight_decay=0.3 * many))
    for number in range(8):
        step(network, ours, number)
        follow(twin, network)
        for index, optimizer in enumerate(theirs):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * (number + 1) * (4 if index > 1 else 1)
            optimizer.step()
    for p, q in zip(network.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)  # the same sums in float32
    assert isinstance(ours, Lookahead) == name.startswith("lookahead")


def test_nobodys_settings_are_timms() -> None:
    groups = {name: build_optimizer(two_convs(), name=name, lr=0.1, weight_decay=0.0).param_groups for name in NAMES}
    assert groups["adamw"][0]["betas"] == (0.9, 0.999)
    assert groups["lion"][0]["betas"] == (0.9, 0.99)
    assert len(groups["adan"][0]["betas"]) == 3
    assert groups["sgd"][0]["momentum"] == 0.9
    assert groups["sgd"][0]["nesterov"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("adamv", "did you mean 'adam"),
        ("SGD", "did you mean 'sgd'"),
        ("lbfgs", "one of"),
        ("lookahead_lookahead_sgd", "'lookahead_lookahead_sgd'"),
        ("", "one of adabelief, "),
        ("adahessian", "second derivatives"),
        ("kron", "random numbers"),
        ("lookahead_kronw", "random numbers"),
        ("fusedadam", "needs apex"),
        ("bnblion8bit", "needs bitsandbytes"),
    ],
)
def test_a_name_that_is_not_there_is_refused(name: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_optimizer(small_network({"a": 2}), name=name, lr=0.1, weight_decay=0.1)
    assert says in str(caught.value)
    assert caught.value.where == "optim.name"


def test_moments_of_other_groups_are_refused() -> None:
    """As an earlier version saved them, which decayed position tables; by place, they would be other parameters'."""
    network, twin = deep_network("test_vit"), deep_network("test_vit")
    groups = parameter_groups(network, weight_decay=0.1)
    earlier = torch.optim.AdamW([{**group, "lr": 0.1} for group in groups])
    for _ in range(2):
        network(torch.randn(2, 3, 32, 32))["a"].square().sum().backward()
        earlier.step()
    now = build_optimizer(twin, lr=0.1, weight_decay=0.1)
    assert len(now.param_groups) == len(groups)
    with pytest.raises(WeightsError, match="other parameter groups") as caught:
        keeping.restore_moments(now, *keeping.optimizer_moments(earlier))
    assert "folder `resume`" in str(caught.value)
    keeping.restore_moments(torch.optim.AdamW(groups), *keeping.optimizer_moments(earlier))
