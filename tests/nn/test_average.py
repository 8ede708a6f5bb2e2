"""The averages of weights against plain loops, timm's and torch's own."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import timm
import torch
from photos import small_network
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from maskcls.nn.average import build_ema, build_swa, soup
from maskcls.nn.network import Network

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
    with pytest.raises(AssertionError, match="belongs to one network"):
        ema.update(small_network({"a": 2}), step=1)


# --- stochastic weight averaging


def swa_of(seen: list[dict[str, Tensor]], start_step: int, every_steps: int) -> dict[str, np.ndarray]:
    """Return the plain mean in float64; seen[s - 1]: the tensors after step s."""
    taken = seen[start_step - 1 :: every_steps] or seen[-1:]
    return {name: np.mean([each[name].double().numpy() for each in taken], axis=0) for name in taken[0]}


@pytest.mark.parametrize(("start_step", "every_steps"), [(1, 1), (5, 1), (4, 4), (12, 4)])
def test_swa_is_the_mean_of_the_steps_it_names(start_step: int, every_steps: int) -> None:
    network = small_network({"a": 2})
    swa = build_swa(network, start_step=start_step, every_steps=every_steps)
    rng, seen = torch.Generator().manual_seed(0), []
    for step in range(1, 18):
        change(network, rng)
        seen.append({name: tensor.clone() for name, tensor in tensors_of(network).items()})
        swa.update(network, step=step)
        want = swa_of(seen, start_step, every_steps)
        for name, tensor in tensors_of(swa.module).items():
            if tensor.is_floating_point():
                # float32 against float64, values near 1
                np.testing.assert_allclose(tensor.numpy(), want[name], atol=2e-6, err_msg=f"{name} after {step}")


def test_swa_equals_torchs() -> None:
    network = small_network({"a": 2, "b": 3})
    ours, theirs = build_swa(network, start_step=3, every_steps=2), AveragedModel(network)
    rng = torch.Generator().manual_seed(0)
    for step in range(1, 12):
        change(network, rng)
        ours.update(network, step=step)
        if step in (3, 5, 7, 9, 11):
            theirs.update_parameters(network)
    assert theirs.n_averaged == 5
    for p, q in zip(ours.module.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=0)  # the same sum in float32; values near 1


def test_swa_follows_the_network_until_it_starts() -> None:
    network = small_network({"a": 2})
    swa = build_swa(network, start_step=6, every_steps=3)
    rng = torch.Generator().manual_seed(0)
    for step in range(1, 7):
        change(network, rng)
        swa.update(network, step=step)
        found = swa.module.state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())
    found = copy.deepcopy(found)
    for step in (7, 8):  # between two ends of an epoch nothing is taken in, whole numbers neither
        change(network, rng)
        swa.update(network, step=step)
        assert all(torch.equal(swa.module.state_dict()[name], tensor) for name, tensor in found.items())


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_an_average_goes_on_from_its_tensors_and_the_step_alone(kind: str) -> None:
    def fresh() -> tuple[Network, Any]:
        network = small_network({"a": 2})
        if kind == "ema":
            return network, build_ema(network, decay=0.9, power=0.75)
        return network, build_swa(network, start_step=2, every_steps=2)

    network, whole = fresh()
    other, resumed = fresh()
    rng = torch.Generator().manual_seed(0)
    for step in range(1, 11):
        change(network, rng)
        whole.update(network, step=step)
        if step == 5:
            resumed.module.load_state_dict(whole.module.state_dict())
        if step > 5:
            other.load_state_dict(network.state_dict())
            resumed.update(other, step=step)
    found = resumed.module.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in whole.module.state_dict().items())


# --- soup


def test_a_soup_is_the_mean_and_takes_whole_numbers_from_the_last() -> None:
    rng = torch.Generator().manual_seed(0)
    states = []
    for _ in range(3):
        network = Network(Odd(), 4, {"a": 2})
        change(network, rng)
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
    states[2]["trunk.count"] += 7
    kept = copy.deepcopy(states)
    found = soup(states)
    assert list(found) == list(states[0])
    for name, tensor in found.items():
        assert tensor.dtype == states[0][name].dtype
        each = [state[name].double().numpy() for state in states]
        want = np.mean(each, axis=0) if tensor.is_floating_point() else each[-1]
        np.testing.assert_allclose(tensor.double().numpy(), want, rtol=1e-6, atol=1e-7, err_msg=name)
    Network(Odd(), 4, {"a": 2}).load_state_dict(found)
    for state, before in zip(states, kept, strict=True):
        assert all(torch.equal(state[name], before[name]) for name in before)
    assert not any(found[name].data_ptr() == states[2][name].data_ptr() for name in found)


def test_a_soup_sums_in_float64() -> None:
    """In float32, let alone float16, 1 next to 1e8 is lost."""
    states = [{"w": torch.tensor([value])} for value in (1e8, 1.0, -1e8, 1.0)]
    assert soup(states)["w"].item() == 0.5
    halves = [{"w": torch.tensor([value], dtype=torch.float16)} for value in (60000.0, 60000.0)]
    assert soup(halves)["w"] == torch.tensor([60000.0], dtype=torch.float16)


def test_a_soup_of_one_is_itself() -> None:
    state = small_network({"a": 2}).state_dict()
    found = soup([state])
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_what_does_not_go_together_is_refused() -> None:
    one = {"w": torch.zeros(2), "b": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"state 3 .* same tensors: b, c"):
        soup([one, one, {"w": torch.zeros(2), "c": torch.zeros(1)}])
    with pytest.raises(ValueError, match=r"state 2 .* same shapes: w"):
        soup([one, one | {"w": torch.zeros(1, 2)}])
    with pytest.raises(ValueError, match="at least one"):
        soup([])
