"""The learning rate by hand, AdamW against torch's own, and the average of the weights against a plain loop."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import timm
import torch
from photos import small_network
from torch import nn

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
