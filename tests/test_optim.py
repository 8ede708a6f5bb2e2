"""The learning rate by hand, AdamW against torch's own, and the average of the weights against a plain loop."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import timm
import torch
from photos import small_network
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from maskcls.nn.network import Network
from maskcls.nn.optim import build_ema, build_optimizer, lr_at, set_lr

# --- the schedule

TABLE = [  # warmup_steps, total_steps, peak, end_share, rates
    (2, 6, 1.0, 0.1, [0.5, 1.0, 1.0, 0.775, 0.325, 0.1]),  # thirds of a cosine: 0.1 + 0.9 * (1, 3/4, 1/4, 0)
    (0, 3, 2.0, 0.0, [2.0, 1.0, 0.0]),
    (0, 1, 3.0, 0.5, [3.0]),  # the only step is the first: it has the peak
    (4, 4, 1.0, 0.0, [0.25, 0.5, 0.75, 1.0]),
    (3, 4, 3.0, 0.0, [1.0, 2.0, 3.0, 3.0]),
    (1, 4, 1.0, 1.0, [1.0, 1.0, 1.0, 1.0]),
]


@pytest.mark.parametrize(("warmup", "total", "peak", "end_share", "rates"), TABLE)
def test_rates_by_hand(warmup: int, total: int, peak: float, end_share: float, rates: list[float]) -> None:
    got = [lr_at(s, peak=peak, end_share=end_share, warmup_steps=warmup, total_steps=total) for s in range(total)]
    assert got == pytest.approx(rates, abs=1e-12)


def test_the_schedule_is_continuous_falls_and_stays_at_its_end() -> None:
    rates = [lr_at(s, peak=0.3, end_share=0.2, warmup_steps=50, total_steps=400) for s in range(1000)]
    assert rates[49] == rates[50] == 0.3  # the last step of the warm-up and the first of the cosine
    assert all(b > a for a, b in pairwise(rates[:50]))
    assert all(b < a for a, b in pairwise(rates[50:400]))
    assert max(abs(b - a) for a, b in pairwise(rates)) <= 0.3 / 50 + 1e-12
    assert rates[399] == pytest.approx(0.06)
    assert set(rates[399:]) == {rates[399]}


# --- AdamW


def names_of(network: Network, parameters: list[nn.Parameter]) -> list[str]:
    by_identity = {id(p): name for name, p in network.named_parameters()}
    return [by_identity[id(p)] for p in parameters]


def test_every_parameter_is_in_one_group_and_only_matrices_decay() -> None:
    network = Network(timm.create_model("test_vit", num_classes=0), 64, {"a": 3})
    optimizer = build_optimizer(network, lr=0.1, weight_decay=0.05, betas=(0.9, 0.99))
    grouped = [name for group in optimizer.param_groups for name in names_of(network, group["params"])]
    assert sorted(grouped) == sorted(name for name, _ in network.named_parameters())
    decays = {n: g["weight_decay"] for g in optimizer.param_groups for n in names_of(network, g["params"])}
    for name, parameter in network.named_parameters():
        assert decays[name] == (0.05 if parameter.ndim > 1 else 0.0), name
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
    images = torch.randn(4, 3, 8, 8)
    for _ in range(3):
        for model, optimizers in ((network, [ours]), (twin, theirs)):
            model.zero_grad()
            model(images)["a"].square().sum().backward()
            for optimizer in optimizers:
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


# --- the average


def test_the_average_equals_a_plain_loop_buffers_too() -> None:
    network = small_network({"a": 2})
    ema = build_ema(network, decay=0.6, power=0.75)
    want = {k: v.numpy().astype(np.float64) for k, v in copy.deepcopy(network.state_dict()).items()}
    rng = torch.Generator().manual_seed(0)
    seen = []
    for n in range(1, 7):
        for key, value in network.state_dict().items():
            if key.endswith("num_batches_tracked"):
                value.fill_(n)
            else:
                value.copy_(torch.randn(value.shape, generator=rng))
        ema.update(network, step=n)
        decay = min(0.6, 1 - n**-0.75)
        seen.append(round(decay, 3))
        for key, value in network.state_dict().items():
            new = value.numpy().astype(np.float64)
            want[key] = new if key.endswith("num_batches_tracked") else decay * want[key] + (1 - decay) * new
        for key, value in ema.module.state_dict().items():
            # float32 against float64, values near 1
            np.testing.assert_allclose(value.numpy(), want[key], atol=1e-6, err_msg=f"{key} after {n}")
    # the first update forgets the start altogether; at the end the ceiling holds
    assert seen == [0.0, 0.405, 0.561, 0.6, 0.6, 0.6]


def test_the_average_is_a_network_of_its_own_in_eval_mode() -> None:
    network = small_network({"a": 2}).train()
    ema = build_ema(network, decay=0.9, power=0.75)
    assert network.training
    assert not any(module.training for module in ema.module.modules())
    before = copy.deepcopy(ema.module.state_dict())
    with torch.no_grad():
        for p in network.parameters():
            p.add_(1)
    assert all(torch.equal(value, before[key]) for key, value in ema.module.state_dict().items())


class Odd(nn.Module):
    """A trunk with all an average can meet: a shared matrix, a shared layer, and buffers of every sort."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.norm_again = self.norm
        self.into, self.out_of = nn.Linear(4, 4), nn.Linear(4, 4)
        self.out_of.weight = self.into.weight
        self.register_buffer("grid", torch.randn(1, 4, 2, 2))
        self.register_buffer("fine", torch.randn(5, dtype=torch.float64))
        self.register_buffer("count", torch.tensor([3, 4]))
        self.register_buffer("scratch", torch.randn(3), persistent=False)
        self.register_buffer("nothing", None)


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Return every tensor, a shared one under its first name."""
    return {name: tensor.detach() for name, tensor in [*network.named_parameters(), *network.named_buffers()]}


def change(network: nn.Module, rng: torch.Generator) -> None:
    """Give every tensor new values, as a step would."""
    for tensor in tensors_of(network).values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=rng))
        else:
            tensor.add_(1)


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit2", "test_efficientnet_evos"])
def test_the_average_equals_timms(backbone: str) -> None:
    network = Network(timm.create_model(backbone, num_classes=0), 64, {"a": 3, "b": 2})
    ours = build_ema(network, decay=0.9, power=0.75)
    theirs = ModelEmaV3(network, decay=0.9, use_warmup=True, warmup_gamma=1.0, warmup_power=0.75)
    rng = torch.Generator().manual_seed(0)
    for step in range(1, 31):  # the warm-up reaches 0.9 at step 22
        change(network, rng)
        ours.update(network, step=step)
        theirs.update(network, step=step)
        found, want = ours.module.state_dict(), theirs.module.state_dict()
        assert found.keys() == want.keys() == network.state_dict().keys()
        for key, value in found.items():
            # the same sum in float32; values near 1
            torch.testing.assert_close(value, want[key], atol=1e-6, rtol=0, msg=f"{key} after {step}")


def test_a_shared_tensor_is_averaged_once_and_buffers_by_their_kind() -> None:
    network = Network(Odd(), 4, {"a": 2})
    ema = build_ema(network, decay=0.5, power=0.75)
    want = {name: tensor.double().clone() for name, tensor in tensors_of(network).items()}
    assert len(want) == 1 + 2 + 3 + 2 + 3 + 4  # conv, norm, two layers, a head; statistics, the trunk's own buffers
    scratch = want["trunk.scratch"]
    rng = torch.Generator().manual_seed(0)
    for step in range(1, 5):
        change(network, rng)
        ema.update(network, step=step)
        for name, tensor in tensors_of(network).items():
            decay = min(0.5, 1 - step**-0.75) if tensor.is_floating_point() else 0.0
            want[name] = decay * want[name] + (1 - decay) * tensor.double()
    want["trunk.scratch"] = scratch  # outside the state dict
    assert ema.module.trunk.out_of.weight is ema.module.trunk.into.weight
    found = tensors_of(ema.module)
    assert found.keys() == want.keys()
    for name, tensor in found.items():
        # float32 against float64, values near 1
        torch.testing.assert_close(tensor.double(), want[name], atol=1e-6, rtol=0, msg=name)


def test_the_average_follows_networks_that_are_moved_and_loaded() -> None:
    """A resumed fold loads both; another memory format puts new buffers into the modules."""
    network = Network(Odd(), 4, {"a": 2})
    ema = build_ema(network, decay=0.5, power=0.75)
    other = Network(Odd(), 4, {"a": 2}).state_dict()
    before = network.trunk.grid
    for each in (network, ema.module):
        each.to(memory_format=torch.channels_last)
        each.load_state_dict(other)
    assert network.trunk.grid is not before
    change(network, torch.Generator().manual_seed(0))
    ema.update(network, step=9)
    found = ema.module.state_dict()
    for name, tensor in network.state_dict().items():
        half = (other[name] + tensor) / 2 if tensor.is_floating_point() else tensor
        torch.testing.assert_close(found[name], half, msg=name)


def test_the_average_takes_no_gradient_and_leaves_the_networks() -> None:
    network = small_network({"a": 2})
    ema = build_ema(network, decay=0.9, power=0.75)
    network(torch.randn(2, 3, 8, 8))["a"].sum().backward()
    grads = [p.grad.clone() for p in network.parameters()]
    ema.update(network, step=1)
    assert not any(p.requires_grad for p in ema.module.parameters())
    assert all(p.requires_grad and torch.equal(p.grad, g) for p, g in zip(network.parameters(), grads, strict=True))


def test_the_average_follows_one_network() -> None:
    ema = build_ema(small_network({"a": 2}), decay=0.9, power=0.75)
    with pytest.raises(AssertionError, match="follows one network"):
        ema.update(small_network({"a": 2}), step=1)
